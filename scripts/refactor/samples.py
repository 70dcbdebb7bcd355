"""The sample models: their files, the options that they need, and their rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = "sample_models"
_OWN = f"{FOLDER}/own-code"


@dataclass(frozen=True)
class Sample:
    """`files` and `options` are arguments of `modelpack`. `old`: its Python is older than 3.8, for
    which no usable pyarrow exists.
    """

    name: str
    files: tuple[str, ...]
    options: tuple[str, ...] = ()
    old: bool = False

    @property
    def arguments(self) -> tuple[str, ...]:
        return (*self.files, *self.options)

    def rows(self, root: Path) -> list[Any]:
        folder = (root / self.files[0]).parent
        rows: list[Any] = json.loads((folder / "request.json").read_text())["instances"]
        return rows


def _sample(name: str, *files: str, **more: Any) -> Sample:
    folder = more.pop("folder", name)
    return Sample(name, tuple(f"{FOLDER}/{folder}/{file}" for file in files), **more)


SAMPLES = (
    _sample("catboost-cbm", "model.cbm"),
    _sample("dict-vectorizer", "model.pkl"),
    _sample("forest", "model.joblib"),
    _sample("iris", "model.joblib"),
    _sample("kserve-mixedtype", "model.joblib"),
    _sample("kserve-svc", "model.joblib"),
    _sample("kserve-svc-pkl", "model.pkl", folder="kserve-svc"),
    _sample("kserve-svc-0.20.3", "model.pkl", old=True),
    _sample("lightgbm-text", "model.txt"),
    _sample("mixed-columns", "model.joblib"),
    _sample("onnx", "model.onnx"),
    _sample("own-code", "model.joblib", options=("--code", _OWN, "--code", f"{_OWN}/train.py")),
    _sample("regressor", "model.pkl"),
    _sample("text-classifier", "model.joblib"),
    _sample("two-files", "vectorizer.joblib", "model.joblib"),
    _sample("xgboost-json", "model.json"),
)


def select(beginnings: Sequence[str]) -> list[Sample]:
    """Return the samples whose names start with one of `beginnings`; all if there are none."""
    found = [s for s in SAMPLES if not beginnings or s.name.startswith(tuple(beginnings))]
    if not found:
        raise SystemExit(f"no sample model starts with {' or '.join(beginnings)}")
    return found
