"""`modelpack.json`, the facts of the bundle, as far as serving needs them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Mapping, Sequence

from .errors import StartupError

SCHEMA = 1


@dataclass(frozen=True)
class Field:
    """One input. `type` is number, integer, string, boolean, datetime or any; `nullable`: may be
    missing; `categories`: the values that training met, in the order of their numbers; `dtype`: the
    pandas dtype of the column in training, or None if unknown; `missing_none`: what is missing was
    None in training, not NaN.
    """

    name: str
    type: str
    nullable: bool = False
    example: Any = None
    categories: tuple[Any, ...] | None = None
    dtype: str | None = None
    missing_none: bool = False


@dataclass(frozen=True)
class ModelFile:
    """`path`: in the bundle. `format`: one of `formats.FORMATS`. `container`: what it is compressed
    in.
    """

    path: str
    sha256: str
    format: str
    container: str


@dataclass(frozen=True)
class Member:
    """An object that the model is made of: the number of the file that holds it, and the keys and
    positions that lead to it from the file's root.
    """

    file: int
    path: tuple[str | int, ...]


@dataclass(frozen=True)
class Manifest:
    """`model` is the model's JSON as it stands in the file; the rest is read out of it.

    `globals`: the "module:name" that loading may look up. `members`: what the rows pass through, in
    order. `layout`: "array", "frame", "text" or "dicts", the form in which the model takes its
    rows. `named`: the inputs have the names that training gave them. `method`: what is called for a
    prediction, predict or transform. `classes`: the labels of a classifier. `probabilities`: it has
    a predict_proba. `main`: the module that stands for the script which saved the model.
    `labels`: what stands for the predictions 0, 1, ..., if they are to be decoded.
    `transform_output`: the value of this setting of `sklearn.set_config` in training, or None.
    `environment`: what the bundle is installed with. `modelpack`: the version that packaged it.
    """

    model: Mapping[str, Any]
    files: tuple[ModelFile, ...]
    members: tuple[Member, ...]
    globals: frozenset[str]
    method: str
    layout: str
    inputs: tuple[Field, ...]
    named: bool
    classes: list[Any] | None
    probabilities: bool
    main: str | None = None
    environment: Mapping[str, Any] = field(default_factory=dict)
    modelpack: str = ""
    labels: tuple[Any, ...] | None = None
    transform_output: str | None = None

    @property
    def example(self) -> list[Any] | None:
        """One row that the model should be able to answer, None where it is not known."""
        known = all(field.example is not None or field.nullable for field in self.inputs)
        return [field.example for field in self.inputs] if self.inputs and known else None


def read(directory: Path) -> Manifest:
    """The manifest of the bundle in `directory`.

    Raises:
        StartupError: it is missing, malformed or of another schema.
    """
    path = directory / "modelpack.json"
    try:
        return _manifest(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StartupError(f"modelpack.json cannot be read: {error!r}.") from error


def _manifest(document: Mapping[str, Any]) -> Manifest:
    if document["schema"] != SCHEMA:
        raise ValueError(f"its schema is {document['schema']!r}, and {SCHEMA} is known")
    model = document["model"]
    signature = model["signature"]
    return Manifest(
        model=model,
        files=tuple(_file(file) for file in (model["file"], *model["more_files"])),
        members=tuple(Member(part["file"], tuple(part["path"])) for part in model["members"]),
        globals=frozenset(model["globals"]),
        method=model["method"],
        layout=signature["layout"],
        inputs=tuple(_field(field) for field in signature["inputs"]),
        named=signature["named"],
        classes=signature["classes"],
        probabilities=signature["probabilities"],
        main=document.get("code", {}).get("main"),
        environment=document.get("environment", {}),
        modelpack=document.get("modelpack", ""),
        labels=_tuple(model.get("labels")),
        transform_output=model.get("transform_output"),
    )


def _tuple(values: Sequence[Any] | None) -> tuple[Any, ...] | None:
    return None if values is None else tuple(values)


def _file(document: Mapping[str, Any]) -> ModelFile:
    return ModelFile(
        path=document["path"],
        sha256=document["sha256"],
        format=document["format"],
        container=document["container"],
    )


def _field(document: Mapping[str, Any]) -> Field:
    return Field(
        name=document["name"],
        type=document["type"],
        nullable=document["nullable"],
        example=document["example"],
        categories=None if document["categories"] is None else tuple(document["categories"]),
        dtype=document.get("dtype"),
        missing_none=document.get("missing_none", False),
    )
