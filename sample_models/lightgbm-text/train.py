# /// script
# requires-python = "==3.13.*"
# dependencies = ["lightgbm==4.6.0", "numpy==2.3.4", "scipy==1.16.3", "pandas==2.3.3"]
# ///
"""A Booster in LightGBM's own text that predicts the rent of flats from numbers and a category."""

import json
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd

directory = Path(__file__).parent
random = np.random.default_rng(0)
count = 400
zones = np.array(["centre", "harbour", "hills"])[random.integers(0, 3, count)]
flats = pd.DataFrame(
    {
        "square metres": random.uniform(20, 140, count).round(),
        "zone": pd.Categorical(zones),
        "rooms": random.integers(1, 6, count),
    }
)
per_metre = flats["zone"].map({"centre": 16.0, "harbour": 12.0, "hills": 9.0}).astype(float)
rent = flats["square metres"] * per_metre + 40 * flats["rooms"]

options = {"num_leaves": 8, "verbose": -1, "num_threads": 1, "deterministic": True}
model = lightgbm.train(options, lightgbm.Dataset(flats, rent), num_boost_round=40)
model.save_model(directory / "model.txt")

# The last is in a zone that it does not know, and its rooms are missing.
instances = [[58, "hills", 4], [43.5, "harbour", 1], [101, "centre", 3], [60, "village", None]]
rows = pd.DataFrame(instances, columns=flats.columns)
rows["zone"] = pd.Categorical(rows["zone"], flats["zone"].cat.categories)
request = {"instances": instances}
response = {"predictions": model.predict(rows).tolist()}
(directory / "request.json").write_text(json.dumps(request) + "\n")
(directory / "response.json").write_text(json.dumps(response) + "\n")
