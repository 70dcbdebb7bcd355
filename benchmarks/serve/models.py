"""The models, their servers, and the rows of the requests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.peers import PEERS, Peer, fastapi, trained

SINGLE_ROWS = 64  # requested in turn


@dataclass(frozen=True)
class Load:
    """`connections` that are kept open. Each requests `rows` rows at a time, repeatedly."""

    connections: int
    rows: int = 1

    @property
    def name(self) -> str:
        return f"{self.connections}x{self.rows}"


LONE = Load(1)
CROWD = Load(64)
BULK = Load(4, 1000)
CURVE = (Load(4), Load(16), Load(128))
"""Between and beyond; only in the first rounds, as they are for the eye."""


@dataclass(frozen=True, eq=False)
class Model:
    """`name`: of its function in peers/train.py. `curve`: is latency drawn over throughput?
    `limits`: whether they are measured next to the servers.
    """

    name: str
    title: str
    peers: dict[str, Peer]
    loads: tuple[Load, ...] = (LONE, CROWD, BULK)
    curve: bool = False
    limits: bool = False


NUMERIC = {
    name: peer
    for tried, usual in PEERS.items()
    for name, peer in (fastapi("fastapi_server") if tried == "fastapi" else {tried: usual}).items()
}
"""FastAPI twice: which way is faster depends on the model."""

MODELS = {
    model.name: model
    for model in (
        Model("iris", "iris: scaler and logistic regression", NUMERIC, curve=True, limits=True),
        Model(
            "forest",
            "forest of 100 trees, saved with n_jobs=-1",
            NUMERIC,
            curve=True,
            limits=True,
        ),
        Model("forest_alone", "the same forest, saved with n_jobs=1", {}, (LONE, CROWD)),
        Model("hgb", "histogram gradient boosting, 100 trees", NUMERIC, limits=True),
        Model(
            "text", "TF-IDF and logistic regression", fastapi("fastapi_text_server"), (LONE, CROWD)
        ),
        Model(
            "mixed", "mixed columns from named rows", fastapi("fastapi_mixed_server"), (LONE, CROWD)
        ),
    )
}


@dataclass(frozen=True)
class Material:
    """A trained model: its file, rows to predict, and the predictions of the model itself."""

    model: Model
    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "model.joblib"

    @property
    def questions(self) -> Path:
        return self.folder / "questions.json"

    @cached_property
    def rows(self) -> list[Any]:
        rows: list[Any] = json.loads(self.questions.read_bytes())["rows"]
        return rows

    @cached_property
    def predictions(self) -> list[Any]:
        predictions: list[Any] = json.loads(self.questions.read_bytes())["predictions"]
        return predictions

    def instances(self, load: Load) -> Iterator[list[Any]]:
        """The rows of each request, until they begin anew."""
        if load.rows == 1:
            yield from ([row] for row in self.rows[:SINGLE_ROWS])
        else:
            yield self.rows[: load.rows]


def train(model: Model, folder: Path) -> Material:
    folder.mkdir()
    trained(model.name, folder)
    return Material(model, folder)
