"""The servers, and how each is started and queried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

Document = Any
PYTHON = "3.11"  # that all of them install on


def instances(rows: Any) -> Document:
    return {"instances": rows}


def tensor(rows: Any) -> Document:
    """One tensor of the Open Inference Protocol, as wide as the first row."""
    width = len(rows[0]) if rows and isinstance(rows[0], list) else 0
    values = {"name": "predict", "shape": [len(rows), width], "datatype": "FP64", "data": rows}
    return {"inputs": [values]}


def named(rows: Any) -> Document:
    """One object a row, by the names that vetiver gives the columns of an array."""
    return [{str(index): value for index, value in enumerate(row)} for row in rows]


def predictions_of_instances(answer: Document) -> list[Any]:
    predictions: list[Any] = answer["predictions"]
    return predictions


def outputs_of_tensor(answer: Document) -> list[Any]:
    values: list[Any] = answer["outputs"][0]["data"]
    return values


def outputs_by_name(answer: Document) -> list[Any]:
    values: list[Any] = answer["predict"]
    return values


@dataclass(frozen=True)
class Peer:
    """A server.

    Attributes:
        requirements: Of its environment, which `<name>.lock` pins.
        command: Starts the server; {model}, {port} and {folder} (empty) are filled in.
        prepare: A command to run before.
        path: The route of predictions.
        document: Builds the body of a request from rows.
        predictions: Returns the prediction of each row in a response.
    """

    name: str
    requirements: tuple[str, ...]
    command: tuple[str, ...]
    path: str
    document: Callable[[Any], Document] = instances
    predictions: Callable[[Document], list[Any]] = predictions_of_instances
    prepare: tuple[str, ...] = ()


def _script(name: str) -> tuple[str, ...]:
    return ("python", f"{{here}}/{name}_server.py")


def _uvicorn(script: str) -> tuple[str, ...]:
    """uvicorn[standard] has uvloop and httptools, and uvicorn takes what is there."""
    address = ("--host=127.0.0.1", "--port={port}", "--workers=2", "--no-access-log")
    return ("uvicorn", *address, "--app-dir={here}", f"{script}:app")


PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            "flask",
            ("flask", "gunicorn"),
            (
                *("gunicorn", "--workers=2", "--threads=2", "--bind=127.0.0.1:{port}"),
                *("--chdir={here}", "flask_server:app"),
            ),
            "/predict",
        ),
        Peer(
            "fastapi",
            ("fastapi", "uvicorn[standard]", "pandas"),
            _uvicorn("fastapi_server"),
            "/predict",
        ),
        Peer("kserve", ("kserve",), _script("kserve"), "/v1/models/model:predict"),
        Peer(
            "mlserver",
            # mlserver calls what uvloop 0.22 took away
            ("mlserver", "mlserver-sklearn", "uvloop<0.22"),
            ("mlserver", "start", "{folder}"),
            "/v2/models/model/infer",
            tensor,
            outputs_of_tensor,
            prepare=_script("mlserver"),
        ),
        Peer("litserve", ("litserve",), _script("litserve"), "/predict"),
        Peer(
            "bentoml",
            ("bentoml",),
            (
                *("bentoml", "serve", "--host=127.0.0.1", "--port={port}"),
                *("--working-dir={here}", "bentoml_server:Model"),
            ),
            "/predict",
            predictions=list,
        ),
        Peer(
            "mlflow",
            # without uvloop, uvicorn's workers leave Nagle's algorithm on: 40 ms a lone request
            ("mlflow", "uvicorn[standard]"),
            (
                *("mlflow", "models", "serve", "--model-uri={folder}/model", "--env-manager=local"),
                *("--host=127.0.0.1", "--port={port}", "--workers=2"),
            ),
            "/invocations",
            prepare=_script("mlflow"),
        ),
        Peer(
            "vetiver",
            ("vetiver", "uvicorn[standard]"),
            _uvicorn("vetiver_server"),
            "/predict",
            named,
            outputs_by_name,
        ),
    )
}


def fastapi(script: str) -> dict[str, Peer]:
    """A script with FastAPI, by its two routes: in threads, and in the event loop."""
    peer = replace(PEERS["fastapi"], command=_uvicorn(script))
    return {"fastapi": peer, "fastapi-async": replace(peer, path="/predict-async")}
