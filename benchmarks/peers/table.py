"""Which servers there are, and how each is started and asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Peer:
    """`requirements`: of its environment, which `<name>.lock` pins. `command`: what is started in
    it, with {model}, {port} and {folder} (its own, empty) filled in; `prepare`: what is run before.
    `path`: where rows are asked for, in a document that `document` makes of them.
    """

    name: str
    requirements: tuple[str, ...]
    command: tuple[str, ...]
    path: str
    document: Callable[[Any], Document] = instances
    prepare: tuple[str, ...] = ()


def _script(name: str) -> tuple[str, ...]:
    return ("python", f"{{here}}/{name}_server.py")


PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            "flask",
            ("flask", "gunicorn"),
            (
                *("gunicorn", "--workers=2", "--bind=127.0.0.1:{port}", "--chdir={here}"),
                "flask_server:app",
            ),
            "/predict",
        ),
        Peer(
            "fastapi",
            ("fastapi", "uvicorn[standard]"),
            (
                *(
                    "uvicorn",
                    "--workers=2",
                    "--host=127.0.0.1",
                    "--port={port}",
                    "--app-dir={here}",
                ),
                *("--no-access-log", "fastapi_server:app"),
            ),
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
        ),
        Peer(
            "mlflow",
            ("mlflow",),
            (
                *("mlflow", "models", "serve", "--model-uri={folder}/model", "--env-manager=local"),
                *("--host=127.0.0.1", "--port={port}", "--workers=2"),
            ),
            "/invocations",
            prepare=_script("mlflow"),
        ),
        Peer("vetiver", ("vetiver",), _script("vetiver"), "/predict", named),
    )
}
