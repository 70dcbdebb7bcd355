# /// script
# requires-python = "==3.13.*"
# dependencies = [
#     "scikit-learn==1.7.2", "joblib==1.5.2", "numpy==2.3.4", "scipy==1.16.3", "pandas==2.3.3",
# ]
# ///
"""A pipeline of a scaler and a logistic regression that names the species of an iris."""

import json
from pathlib import Path

import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

directory = Path(__file__).parent
iris = load_iris(as_frame=True)
species = iris.target_names[iris.target]

model = make_pipeline(StandardScaler(), LogisticRegression(random_state=0))
model.fit(iris.data, species)
joblib.dump(model, directory / "model.joblib")

rows = iris.data.iloc[[0, 50, 100]]
request = {"instances": rows.to_numpy().tolist()}
response = {"predictions": model.predict(rows).tolist()}
(directory / "request.json").write_text(json.dumps(request) + "\n")
(directory / "response.json").write_text(json.dumps(response) + "\n")
