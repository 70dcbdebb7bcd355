"""Write folders of MLflow, and the predictions of MLflow's own pyfunc for each of them.

Run it with both versions. Each writes a folder `VERSION/NAME` for a model, and `VERSION/NAME.json`:
    uv run --with mlflow==3.17.2,scikit-learn==1.7.2,xgboost-cpu,lightgbm,catboost,skl2onnx train.py
    uv run --with mlflow==2.22.5,scikit-learn==1.7.2,xgboost-cpu,lightgbm train.py
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import mlflow
import numpy as np
import pandas as pd
import xgboost
from mlflow.models import infer_signature
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

VERSION = mlflow.__version__
FOLDER = Path(__file__).parent / VERSION.partition(".")[0]
KEPT = {"MLmodel", "requirements.txt", "input_example.json"}

random = np.random.default_rng(1)
frame = pd.DataFrame(
    {
        "age": random.normal(40.0, 9.0, 60).round(1),
        "rooms": random.integers(1, 6, 60),
        "town": random.choice(["Bonn", "Rome", "Lyon"], 60),
    }
)
numbers = frame[["age", "rooms"]]
matrix = numbers.to_numpy(float)
texts = np.where(frame["age"] > 40, "yes", "no")
classes = (frame["age"] > 40).astype(int).to_numpy()
columns = ColumnTransformer(
    [("n", StandardScaler(), ["age", "rooms"]), ("t", OneHotEncoder(), ["town"])]
)
mixed = make_pipeline(columns, LogisticRegression()).fit(frame, texts)
scaled = make_pipeline(StandardScaler(), LogisticRegression()).fit(matrix, classes)


def save(name: str, function: Callable[..., Any], model: Any, rows: Any, **options: Any) -> None:
    """Save a model with MLflow, and the predictions of the saved folder."""
    path = FOLDER / name
    shutil.rmtree(path, ignore_errors=True)
    function(model, path=str(path), **options)
    predicted = mlflow.pyfunc.load_model(str(path)).predict(rows)
    if isinstance(predicted, dict):  # of ONNX: name -> output
        predicted = next(iter(predicted.values()))
    document = {
        "rows": rows.to_dict("records") if isinstance(rows, pd.DataFrame) else rows.tolist(),
        "predictions": np.asarray(predicted).tolist(),
    }
    (FOLDER / f"{name}.json").write_text(json.dumps(document) + "\n")
    for file in path.iterdir():
        if file.name not in KEPT and not file.name.startswith(("model.", "python_model")):
            file.unlink()


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    few, sklearn = frame.head(6), mlflow.sklearn.save_model
    kind = "pickle" if VERSION.startswith("3") else "cloudpickle"
    save("frame", sklearn, mixed, few, serialization_format=kind, input_example=few.head(2),
         signature=infer_signature(frame, texts))  # fmt: skip
    save("probabilities", sklearn, scaled, matrix[:6], serialization_format="cloudpickle",
         pyfunc_predict_fn="predict_proba", input_example=matrix[:2],
         signature=infer_signature(matrix, scaled.predict_proba(matrix)))  # fmt: skip
    booster = xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(matrix, classes), 3)
    classifier = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(numbers, classes)
    few = numbers.head(6)
    if VERSION.startswith("2"):
        outputs = booster.predict(xgboost.DMatrix(matrix))
        save("booster", mlflow.xgboost.save_model, booster, few,
             signature=infer_signature(numbers, outputs))  # fmt: skip
        save("lightgbm", mlflow.lightgbm.save_model, classifier, few)
        return
    from catboost import CatBoostClassifier  # noqa: PLC0415 - not in the older environment
    from skl2onnx import to_onnx  # noqa: PLC0415

    save("skops", sklearn, scaled, few, signature=infer_signature(numbers, classes),
         input_example=few.head(2))  # fmt: skip
    save("xgboost", mlflow.xgboost.save_model,
         xgboost.XGBClassifier(n_estimators=3).fit(numbers, classes), few)  # fmt: skip
    save("lightgbm", mlflow.lightgbm.save_model, classifier.booster_, few, input_example=few)
    cat = CatBoostClassifier(iterations=3, verbose=0, allow_writing_files=False)
    save("catboost", mlflow.catboost.save_model, cat.fit(frame, texts, cat_features=["town"]),
         frame.head(6))  # fmt: skip
    graph = to_onnx(scaled, matrix[:1], options={"zipmap": False}, target_opset=18)
    save("onnx", mlflow.onnx.save_model, graph, matrix[:6],
         signature=infer_signature(matrix, classes))  # fmt: skip

    class Echo(mlflow.pyfunc.PythonModel):
        def predict(self, context: object, model_input: Any, params: object = None) -> Any:
            return model_input

    save(
        "code", lambda model, path: mlflow.pyfunc.save_model(path, python_model=model), Echo(), few
    )


if __name__ == "__main__":
    main()
