# /// script
# requires-python = "==3.13.*"
# dependencies = [
#     "xgboost-cpu==3.1.2", "scikit-learn==1.7.2", "numpy==2.3.4", "scipy==1.16.3",
# ]
# ///
"""A Booster in XGBoost's JSON that gives the probability of each species of an iris."""

import json
from pathlib import Path

import xgboost
from sklearn.datasets import load_iris

directory = Path(__file__).parent
iris = load_iris()
names = [name.removesuffix(" (cm)") for name in iris.feature_names]
data = xgboost.DMatrix(iris.data, iris.target, feature_names=names, nthread=1)
options = {"objective": "multi:softprob", "num_class": 3, "max_depth": 3, "nthread": 1}
model = xgboost.train(options, data, num_boost_round=10)
model.save_model(directory / "model.json")

rows = iris.data[[0, 50, 100]].tolist()
rows.append([5.0, None, 4.0, 1.2])
table = [[float("nan") if value is None else value for value in row] for row in rows]
request = {"instances": rows}
response = {"predictions": model.predict(xgboost.DMatrix(table, feature_names=names)).tolist()}
(directory / "request.json").write_text(json.dumps(request) + "\n")
(directory / "response.json").write_text(json.dumps(response) + "\n")
