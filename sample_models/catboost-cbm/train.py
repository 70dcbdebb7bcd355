# /// script
# requires-python = "==3.13.*"
# dependencies = ["catboost==1.2.8", "numpy==2.3.4"]
# ///
"""A classifier in CatBoost's own format: who cancels a contract, from numbers and words."""

import json
from pathlib import Path

import numpy as np
from catboost import CatBoostClassifier, Pool

directory = Path(__file__).parent
random = np.random.default_rng(0)
count = 400
contract = np.array(["monthly", "yearly"])[random.integers(0, 2, count)]
paid_by = np.array(["card", "invoice", "transfer"])[random.integers(0, 3, count)]
months, charge = random.integers(1, 60, count), random.uniform(10, 90, count).round(1)
leaves = (contract == "monthly") & (charge > 40) & (months < 30) | (paid_by == "invoice")
customers = [
    [int(m), float(c), str(k), str(p)]
    for m, c, k, p in zip(months, charge, contract, paid_by, strict=True)
]
names = ["months", "charge", "contract", "paid by"]

model = CatBoostClassifier(
    iterations=30, depth=3, verbose=0, thread_count=1, allow_writing_files=False
)
model.fit(
    Pool(
        customers,
        np.where(leaves, "yes", "no"),
        cat_features=["contract", "paid by"],
        feature_names=names,
    )
)
still = {"model_guid": "", "train_finish_time": "", "training": "{}"}
for name, value in still.items():  # so that the same training gives the same file
    model.get_metadata()[name] = value
model.save_model(directory / "model.cbm")

rows = [*customers[:3], [5, None, "monthly", "cheque"]]
table = [[np.nan if value is None else value for value in row] for row in rows]
request = {"instances": [dict(zip(names, row, strict=True)) for row in rows]}
response = {"predictions": model.predict(table).tolist()}
(directory / "request.json").write_text(json.dumps(request) + "\n")
(directory / "response.json").write_text(json.dumps(response) + "\n")
