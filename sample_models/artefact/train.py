# /// script
# requires-python = "==3.13.*"
# dependencies = [
#     "scikit-learn==1.7.2", "joblib==1.5.2", "numpy==2.3.4", "scipy==1.16.3",
# ]
# ///
"""A dict of model, scaler, columns and label encoder: the size class of a parcel."""

import json
from pathlib import Path

import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import LabelEncoder, StandardScaler

directory = Path(__file__).parent
columns = ["weight", "length", "width"]
parcels = np.random.default_rng(7).uniform([0.2, 10.0, 5.0], [30.0, 120.0, 60.0], (120, 3)).round(1)
volumes = parcels[:, 1] * parcels[:, 2] + 100 * parcels[:, 0]
sizes = np.where(volumes < 2500, "small", np.where(volumes < 4500, "medium", "large"))

encoder = LabelEncoder().fit(sizes)
scaler = StandardScaler().fit(parcels)
model = LogisticRegression().fit(scaler.transform(parcels), encoder.transform(sizes))
artefact = {"model": model, "scaler": scaler, "columns": columns, "label_encoder": encoder}
joblib.dump(artefact, directory / "model.joblib")

rows = [[1.5, 20.0, 12.0], [8.0, 70.5, 40.0], [25.0, 110.0, 55.0]]
predictions = encoder.inverse_transform(model.predict(scaler.transform(rows)))
response = {"predictions": predictions.tolist()}
(directory / "request.json").write_text(json.dumps({"instances": rows}) + "\n")
(directory / "response.json").write_text(json.dumps(response) + "\n")
