"""Write folders of MLflow with models of Python code, and the predictions of MLflow's pyfunc.

Run it with both versions, in this folder:
    uv run --with mlflow==3.17.2 train_python.py
    uv run --with 'mlflow==2.22.5,setuptools' train_python.py
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import rents
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

HERE = Path(__file__).parent
FOLDER = HERE / mlflow.__version__.partition(".")[0]
SCRIPT = "rent script.py"
KEPT = {
    "MLmodel", "requirements.txt", "input_example.json", "python_model.pkl", "code", "artifacts",
    SCRIPT,
}  # fmt: skip
SETTINGS = {"factor": 1.5, "added": {"each": [1, 0.25, "two"], "none": None}, "is": True, "n": "3"}

frame = pd.DataFrame(
    {
        "age": np.array([43.1, 47.4, 35.25, 40.0], "float32"),
        "rooms": np.array([5, 1, 2, 3], "int32"),
        "town": ["Lyon", "Bonn", "Rome", "Bonn"],
    }
)
types = {"age": "float", "rooms": "integer", "town": "string"}
signature = ModelSignature(Schema([ColSpec(kind, name) for name, kind in types.items()]))


def save(name: str, model: mlflow.pyfunc.PythonModel | str, **options: Any) -> None:
    """Save a model with its module, and the predictions of the saved folder."""
    path = FOLDER / name
    shutil.rmtree(path, ignore_errors=True)
    mlflow.pyfunc.save_model(
        str(path), python_model=model, code_paths=[str(HERE / "rents.py")], signature=signature,
        input_example=frame.head(2), pip_requirements=[f"mlflow=={mlflow.__version__}", "pandas"],
        **options,
    )  # fmt: skip
    predicted = mlflow.pyfunc.load_model(str(path)).predict(frame)
    rows = json.loads(frame.to_json(orient="records"))
    document = {"rows": rows, "predictions": np.asarray(predicted).tolist()}
    (FOLDER / f"{name}.json").write_text(json.dumps(document) + "\n")
    for file in path.iterdir():
        if file.name not in KEPT:
            file.unlink()
    described = (path / "MLmodel").read_text()
    for own in (str(HERE), gettempdir()):  # paths of this machine
        described = described.replace(own, "/training")
    (path / "MLmodel").write_text(described)


if __name__ == "__main__":
    save("context", rents.Rent(np.array([2.5, 30.0])))
    save("no-context", rents.Old(42.0))
    with TemporaryDirectory() as temporary:
        weights, rates = Path(temporary, "weights.json"), Path(temporary, "rates of towns")
        weights.write_text("[2.5, 30.0]")
        (rates / "more").mkdir(parents=True)
        for town, rate in {"Bonn": 1.0, "Rome": 1.5, "more/Lyon": 1.25}.items():
            (rates / f"{town}.txt").write_text(str(rate))
        read = {
            "artifacts": {"weights": str(weights), "rates": str(rates)},
            "model_config": SETTINGS,
        }
        save("artifacts", rents.Read(), **read)
        save("script", str(HERE / SCRIPT), **read)
