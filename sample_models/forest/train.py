# /// script
# requires-python = "==3.13.*"
# dependencies = [
#     "scikit-learn==1.7.2", "joblib==1.5.2", "numpy==2.3.4", "scipy==1.16.3",
# ]
# ///
"""A hundred trees that separate malignant (0) from benign (1) tumours; a compressed file."""

import json
from pathlib import Path

import joblib
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier

directory = Path(__file__).parent
X, y = load_breast_cancer(return_X_y=True)

model = RandomForestClassifier(n_estimators=100, random_state=0)
model.fit(X, y)
joblib.dump(model, directory / "model.joblib", compress=3)

rows = X[[0, 19, 100]]
request = {"instances": rows.tolist()}
response = {"predictions": model.predict(rows).tolist()}
(directory / "request.json").write_text(json.dumps(request) + "\n")
(directory / "response.json").write_text(json.dumps(response) + "\n")
