"""Send rows to services in every form that MLflow's client supports, and print the responses.

Runs in MLflow's environment. Standard input is JSON: port -> rows. The output is JSON, by form.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from mlflow.models import convert_input_example_to_serving_input
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient


def request_forms(client: ScoringServerClient, rows: list[Any]) -> dict[str, Callable[[], Any]]:
    frame = pd.DataFrame(rows)
    matrix = frame.to_numpy()
    moved = frame.set_index(np.arange(5, 5 + len(frame)))
    forms = {
        "a DataFrame": lambda: client.invoke(frame),
        "a DataFrame of shuffled columns": lambda: client.invoke(frame[frame.columns[::-1]]),
        "a DataFrame with an index": lambda: client.invoke(moved),
        "a list of dicts": lambda: client.invoke(rows),
        "a list of lists": lambda: client.invoke(frame.astype(object).to_numpy().tolist()),
        "records": lambda: client.invoke(json.dumps({"dataframe_records": rows})),
        "instances": lambda: client.invoke(json.dumps({"instances": rows})),
        "columns": lambda: client.invoke(json.dumps({"inputs": frame.to_dict("list")})),
        "an example": lambda: client.invoke(convert_input_example_to_serving_input(frame)),
    }
    if matrix.dtype.kind != "f":
        return forms
    return {
        **forms,
        "an array": lambda: client.invoke(matrix),
        "an array of float32": lambda: client.invoke(matrix.astype(np.float32)),
        "a sparse matrix": lambda: client.invoke(csr_matrix(matrix)),
        "an example of an array": lambda: client.invoke(
            convert_input_example_to_serving_input(matrix)
        ),
    }


def query_service(port: str, rows: list[Any]) -> dict[str, Any]:
    client = ScoringServerClient("127.0.0.1", int(port))
    client.wait_server_ready(timeout=20)
    frame = pd.DataFrame(rows)
    probable = client.invoke(frame, params={"predict_method": "predict_proba"})
    return {
        "forms": {
            form: request().get_predictions("ndarray").tolist()
            for form, request in request_forms(client, rows).items()
        },
        "probabilities": probable["predictions"],
        "as a DataFrame": client.invoke(frame).get_predictions().to_dict("list"),
        "version": client.get_version(),
    }


if __name__ == "__main__":
    requests = json.load(sys.stdin)
    print(json.dumps([query_service(port, rows) for port, rows in requests.items()]))
