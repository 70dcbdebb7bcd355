"""Predict with bundles and with MLflow's own pyfunc, from the same rows, and print both.

Runs in MLflow's environment, with modelpack in PYTHONPATH. Standard input is JSON: a list of
[folder of MLflow, bundle, rows, name -> dtype of MLflow]. The output is JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd

from modelpack.serving import loading, manifest
from modelpack.serving.data.rows import Decoder
from modelpack.serving.runtimes import select_runtime


def served(bundle: Path, rows: list[Any]) -> list[Any]:
    facts = manifest.read(bundle)
    runtime = select_runtime(loading.load(bundle, facts), facts)
    decoder = Decoder(facts.inputs, facts.layout, len(rows), facts.named)
    return np.asarray(runtime.call(facts.method, decoder.explain(rows))).tolist()


def expected(folder: str, rows: list[Any], dtypes: dict[str, str]) -> list[Any]:
    frame = pd.DataFrame(rows).astype(dtypes)
    return np.asarray(mlflow.pyfunc.load_model(folder).predict(frame)).tolist()


if __name__ == "__main__":
    print(json.dumps([
        [served(Path(bundle), rows), expected(folder, rows, dtypes)]
        for folder, bundle, rows, dtypes in json.load(sys.stdin)
    ]))  # fmt: skip
