"""Model specs to render bundles from."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import serving_models
from hostile_text import HOSTILE
from serving_models import Trained

from modelpack.types import Code, CodeFile, Field, ModelSpec, Parity, Signature

GOLDEN = Path(__file__).parents[1] / "golden"


PARITY = Parity("record", 17, (), 0.0, 0.0, passed=True)


def spec_for(folder: Path, trained: Trained) -> ModelSpec:
    """Return a spec whose model file contains arbitrary bytes: rendering does not load it."""
    path = folder / "model.joblib"
    path.write_bytes(b"the bytes of a model")
    return serving_models.build_spec(path, trained)


def hostile_spec(folder: Path) -> ModelSpec:
    inputs = tuple(Field(text, "string", nullable=True, example=text) for text in HOSTILE)
    signature = Signature(
        inputs, (), tuple(HOSTILE), layout="frame", named=True, probabilities=True
    )
    spec = spec_for(folder, Trained(object(), signature))
    text = "".join(HOSTILE)
    return replace(spec, estimator=text, framework=text, framework_version=text)


def user_code() -> Code:
    """Return user code of a module and a script with hostile names."""
    texts = {
        "modelpack_main.py": "class Model: ...\n",
        "shop/| `x` $(touch owned)\n.py": "RATE = 1\n",
    }
    files = (
        CodeFile(path, hashlib.sha256(text.encode()).hexdigest(), "/home/author/a.py", text)
        for path, text in texts.items()
    )
    return Code(tuple(files), "modelpack_main", {"PyYAML": ""}, {"PyYAML": "a.py imports yaml"})
