# /// script
# requires-python = "==3.13.*"
# dependencies = [
#     "skl2onnx==1.19.1", "onnx==1.19.1", "onnxruntime==1.23.2", "scikit-learn==1.7.2",
#     "numpy==2.3.4", "scipy==1.16.3", "pandas==2.3.3",
# ]
# ///
"""A pipeline of scikit-learn as ONNX, which needs no scikit-learn: who cancels a contract."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

directory = Path(__file__).parent
random = np.random.default_rng(0)
count = 400
customers = pd.DataFrame(
    {
        "months": random.integers(1, 60, count).astype(np.float32),
        "charge": random.integers(20, 180, count).astype(np.float32) / 2,
        "contract": np.array(["monthly", "yearly"])[random.integers(0, 2, count)],
    }
)
leaves = (customers["contract"] == "monthly") & (customers["charge"] > customers["months"])

encoder = ColumnTransformer(
    [
        ("numbers", StandardScaler(), ["months", "charge"]),
        ("words", OneHotEncoder(handle_unknown="ignore"), ["contract"]),
    ]
)
model = make_pipeline(encoder, LogisticRegression()).fit(customers, np.where(leaves, "yes", "no"))
types = [
    ("months", FloatTensorType([None, 1])),
    ("charge", FloatTensorType([None, 1])),
    ("contract", StringTensorType([None, 1])),
]
graph = to_onnx(model, initial_types=types, name="contracts", target_opset=21)
graph.opset_import.sort(key=lambda entry: entry.domain)  # in any order, else
(directory / "model.onnx").write_bytes(graph.SerializeToString())

rows = customers.iloc[:3]
tensors = {name: rows[[name]].to_numpy() for name in rows}
session = onnxruntime.InferenceSession(directory / "model.onnx")
request = {"instances": json.loads(rows.to_json(orient="records"))}
response = {"predictions": session.run(["output_label"], tensors)[0].tolist()}
(directory / "request.json").write_text(json.dumps(request) + "\n")
(directory / "response.json").write_text(json.dumps(response) + "\n")
