"""Bundles of native model files."""

from __future__ import annotations

import json
from pathlib import Path

from serving_models import BASE, ENVIRONMENT

from modelpack.bundle.render import render
from modelpack.inspection import inspect

ROOT = Path(__file__).parents[2]


SAMPLES, DATA = ROOT / "sample_models", ROOT / "tests" / "data" / "native"


KSERVE = ([[5.1, 3.5, 1.4, 0.2], [6.8, 2.8, 4.8, 1.4]], [0.0, 1.0])


def sample(folder: str, name: str) -> tuple[Path, list, list]:
    request, response = (
        json.loads((SAMPLES / folder / f"{each}.json").read_text())
        for each in ("request", "response")
    )
    return SAMPLES / folder / name, request["instances"], response["predictions"]


MODELS = {
    "lightgbm": sample("lightgbm-text", "model.txt"),
    "xgboost": sample("xgboost-json", "model.json"),
    "xgboost-ubjson": (DATA / "kserve-xgboost.ubj", *KSERVE),
    "catboost": sample("catboost-cbm", "model.cbm"),
    "onnx": sample("onnx", "model.onnx"),
}


def bundle(path: Path, folder: Path) -> Path:
    return render(inspect(path), ENVIRONMENT, BASE, folder / "bundle").directory
