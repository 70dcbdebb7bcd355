"""Specs of models with user code, and the files of that code."""

from __future__ import annotations

from pathlib import Path

from modelpack.types import ModelFile, ModelSpec, Safety, Signature


def write(root: Path, files: dict[str, str]) -> Path:
    """Write files (path -> text) below `root` and return it."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def spec_naming(model: Path, *names: str, requirements: tuple[str, ...] = ()) -> ModelSpec:
    """Return the spec of a model that refers to the names "module:name"."""
    return ModelSpec(
        file=ModelFile(str(model), "", 0, "raw", 4, "pickle"),
        format="pickle",
        framework="scikit-learn",
        framework_version="1.7.2",
        python=None,
        task="regressor",
        estimator=None,
        steps=(),
        method="predict",
        requirements={"scikit-learn": "==1.7.2", "numpy": "", **dict.fromkeys(requirements, "")},
        versions={},
        local_modules=tuple(sorted({name.partition(":")[0].partition(".")[0] for name in names})),
        signature=Signature((), ()),
        safety=Safety("trust"),
        globals=("sklearn.pipeline:Pipeline", *names),
    )
