# /// script
# requires-python = "==3.13.*"
# dependencies = [
#     "scikit-learn==1.7.2", "joblib==1.5.2", "numpy==2.3.4", "scipy==1.16.3",
# ]
# ///
"""Boosted trees that foretell the course of diabetes in a year; a plain pickle."""

import json
import pickle
from pathlib import Path

from sklearn.datasets import load_diabetes
from sklearn.ensemble import GradientBoostingRegressor

directory = Path(__file__).parent
X, y = load_diabetes(return_X_y=True)

model = GradientBoostingRegressor(n_estimators=60, max_depth=2, random_state=0)
model.fit(X, y)
with (directory / "model.pkl").open("wb") as file:
    pickle.dump(model, file)

rows = X[:3]
request = {"instances": rows.tolist()}
response = {"predictions": model.predict(rows).tolist()}
(directory / "request.json").write_text(json.dumps(request) + "\n")
(directory / "response.json").write_text(json.dumps(response) + "\n")
