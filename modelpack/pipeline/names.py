"""What things are called: an image that nobody named; models and environments, in a few words."""

from __future__ import annotations

import re
from pathlib import Path

from modelpack.types import Environment, ModelSpec


def describe(model: ModelSpec) -> str:
    """A model in a few words: "SVC, scikit-learn 1.3.2, 4 inputs"."""
    name = (model.estimator or "no estimator").rpartition(".")[2]
    library = " ".join(filter(None, (model.framework, model.framework_version)))
    inputs = len(model.signature.inputs)
    return f"{name}, {library}, {inputs} input{'' if inputs == 1 else 's'}"


def describe_environment(resolved: Environment) -> str:
    """An environment in a few words: "Python 3.11, 14 distributions, 1 as recorded in the file"."""
    words = {
        "file": "as recorded in the file",
        "record": "as recorded in training",
        "installed": "as installed here",
        "user": "as you said",
    }
    told = list(resolved.origins.values())
    counts = [f"{told.count(origin)} {text}" for origin, text in words.items() if origin in told]
    total = f"{len(resolved.requirements)} distributions"
    return ", ".join([f"Python {resolved.python}", total, *counts])


def default_reference(model: ModelSpec) -> str:
    """A reference made of the file's name, or of its folder's where all files are called model."""
    path = Path(main_file(model)).absolute()
    return reference_of(path.parent.name if path.stem == "model" else path.stem)


def main_file(model: ModelSpec) -> str:
    """The path of the file that predicts, the last of them."""
    return model.files[-1].path


def reference_of(name: str) -> str:
    """Docker allows lower-case letters and digits with single separators between them."""
    return f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-') or 'model'}:latest"
