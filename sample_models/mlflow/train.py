# /// script
# requires-python = "==3.13.*"
# dependencies = [
#     "mlflow-skinny==3.17.2", "scikit-learn==1.7.2", "numpy==2.3.4", "scipy==1.16.3",
#     "pandas==2.3.3", "cloudpickle==3.1.2", "joblib==1.5.2",
# ]
# ///
"""The folder of an MLflow model: which flats are let within a week."""

import json
import re
import shutil
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

directory = Path(__file__).parent
random = np.random.default_rng(0)
flats = pd.DataFrame(
    {
        "rent": random.integers(400, 1600, 200).astype(float),
        "rooms": random.integers(1, 6, 200).astype(float),
        "town": random.choice(["Bonn", "Lyon", "Rome"], 200),
    }
)
is_let = np.where(flats["rent"] < 220 * flats["rooms"] + 300 * (flats["town"] == "Rome"),
                  "yes", "no")  # fmt: skip
columns = make_column_transformer(
    (StandardScaler(), ["rent", "rooms"]), (OneHotEncoder(), ["town"])
)
model = make_pipeline(columns, LogisticRegression(random_state=0)).fit(flats, is_let)

folder = directory / "model"
shutil.rmtree(folder, ignore_errors=True)
mlflow.sklearn.save_model(
    model, str(folder), serialization_format="pickle", input_example=flats.head(2),
    signature=infer_signature(flats, is_let),
)  # fmt: skip
# MLflow writes the time and a random number, which differ each time.
description = (folder / "MLmodel").read_text()
description = re.sub(r"(model_uuid: )\w+", r"\g<1>" + "0" * 32, description)
description = re.sub(r"(utc_time_created: )'[^']+'", r"\g<1>'2026-12-01 00:00:00.000000'",
                     description)  # fmt: skip
(folder / "MLmodel").write_text(description)

rows = flats.head(3)
request = {"instances": rows.to_dict("records")}
response = {"predictions": model.predict(rows).tolist()}
(directory / "request.json").write_text(json.dumps(request) + "\n")
(directory / "response.json").write_text(json.dumps(response) + "\n")
