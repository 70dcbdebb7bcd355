# /// script
# requires-python = "==3.13.*"
# dependencies = [
#     "scikit-learn==1.7.2", "skops==0.13.0", "numpy==2.3.4", "scipy==1.16.3", "pandas==2.3.3",
# ]
# ///
"""A pipeline of a scaler and a ridge regression, saved by skops: the progression of diabetes."""

import io
import json
import re
import zipfile
from pathlib import Path

import skops.io
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

directory = Path(__file__).parent
patients = load_diabetes(as_frame=True, scaled=False)
columns = patients.data[["age", "bmi", "bp", "s5"]]
model = make_pipeline(StandardScaler(), Ridge(alpha=1.0)).fit(columns, patients.target)

# skops writes the time and addresses of objects, which differ each time.
saved = io.BytesIO(skops.io.dumps(model))
with zipfile.ZipFile(saved) as archive, zipfile.ZipFile(directory / "model.skops", "w") as fixed:
    addresses: dict[str, str] = {}

    def numbered(match: re.Match[str]) -> str:
        return addresses.setdefault(match[0], str(len(addresses) + 1))

    schema = re.sub(r"\d{9,}", numbered, archive.read("schema.json").decode())
    for name in archive.namelist():
        content = schema.encode() if name == "schema.json" else archive.read(name)
        new = re.sub(r"\d{9,}", numbered, name)
        fixed.writestr(zipfile.ZipInfo(new, (2026, 12, 1, 0, 0, 0)), content)

rows = columns.iloc[[0, 50, 100]]
request = {"instances": rows.to_dict("records")}
response = {"predictions": model.predict(rows).tolist()}
(directory / "request.json").write_text(json.dumps(request) + "\n")
(directory / "response.json").write_text(json.dumps(response) + "\n")
