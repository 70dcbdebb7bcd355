"""Write the folder of MLflow with a network of Keras, and the predictions of MLflow's pyfunc.

uv run --with mlflow==3.17.2,torch==2.13.0,keras==3.15.1 train_keras.py
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"

import keras
import mlflow
import numpy as np
from mlflow.models import infer_signature

FOLDER = Path(__file__).parent / "3"
KEPT = {"MLmodel", "requirements.txt", "input_example.json", "data"}

random = np.random.default_rng(1)
rows = random.normal(size=(60, 2)).astype("float32")


def save(name: str, function: Callable[..., Any], model: Any, outputs: Any) -> None:
    """Save a model with MLflow, and the predictions of the saved folder."""
    path = FOLDER / name
    shutil.rmtree(path, ignore_errors=True)
    function(model, str(path), signature=infer_signature(rows, outputs))
    predicted = mlflow.pyfunc.load_model(str(path)).predict(rows[:6])
    document = {"rows": rows[:6].tolist(), "predictions": np.asarray(predicted).tolist()}
    (FOLDER / f"{name}.json").write_text(json.dumps(document) + "\n")
    for file in path.iterdir():
        if file.name not in KEPT:
            file.unlink()
    for file in (path / "data").glob("*.txt"):
        file.unlink()


def main() -> None:
    layers = [keras.layers.Input((2,)), keras.layers.Dense(3, activation="relu")]
    model = keras.Sequential([*layers, keras.layers.Dense(1)])
    save("keras", mlflow.keras.save_model, model, model.predict(rows, verbose=0))


if __name__ == "__main__":
    main()
