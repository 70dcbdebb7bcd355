"""`modelpack.json`: the facts of the bundle that serving needs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Mapping, Sequence

from .errors import StartupError

SCHEMA = 1


@dataclass(frozen=True)
class Field:
    """One input of the model.

    Attributes:
        type: "number", "integer", "string", "boolean", "datetime" or "any".
        nullable: The value may be missing.
        example: A value that the model accepts.
        categories: The values in training, in the order of their codes.
        dtype: The pandas dtype of the column in training, or None if unknown.
        missing_none: Missing values were None in training, not NaN.
        minimum, maximum: Of the training data if they were recorded, otherwise plausible ones.
    """

    name: str
    type: str
    nullable: bool = False
    example: Any = None
    categories: tuple[Any, ...] | None = None
    dtype: str | None = None
    missing_none: bool = False
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True)
class Tensor:
    """An input of several dimensions, and the shape of its value in a row (-1: any size)."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ModelFile:
    """A file of the model.

    Attributes:
        path: In the bundle.
        format: A key of `runtimes.LOADERS`.
        container: The compression, see `containers`.
    """

    path: str
    sha256: str
    format: str
    container: str


@dataclass(frozen=True)
class Member:
    """A part of the model: the number of its file, and the keys and positions in that file."""

    file: int
    path: tuple[str | int, ...]


@dataclass(frozen=True)
class Context:
    """What the code of an MLflow model reads besides the file of the model.

    Attributes:
        artifacts: Name -> path of a file or folder below `folder`.
        digests: Path of each file below `folder` -> SHA-256.
        folder: In the bundle.
        settings: The `model_config` of MLflow.
    """

    artifacts: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """The facts of the bundle.

    Attributes:
        model: The member `model` of the file.
        members: The objects that the rows pass through, in order.
        globals: The "module:name" that loading may look up.
        method: The method that predicts, "predict" or "transform".
        layout: The form of the rows for the model: "array", "frame", "text" or "dicts".
        inputs: The inputs, empty if the model file does not list them.
        named: The inputs have the names of the training.
        classes: The labels of a classifier.
        probabilities: The model has predict_proba.
        main: The module in place of the script that saved the model.
        startup: The module that is imported before the model is loaded.
        modelpack: The version of modelpack that created the bundle.
        labels: The labels of the predictions 0, 1, ..., if they have to be decoded.
        target: The transformer whose inverse is applied to predictions, if there is one.
        transform_output: The value of this setting of `sklearn.set_config` in training.
        context: What the author's code reads besides the files.
        tensors: What the inputs are the values of, in order; empty for most models.
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
    target: Member | None = None
    startup: str | None = None
    context: Context = field(default_factory=Context)
    tensors: tuple[Tensor, ...] = ()

    @property
    def format(self) -> str:
        """The format of the object that predicts, which is the last one."""
        return self.files[self.members[-1].file].format

    @property
    def has_lightgbm(self) -> bool:
        """Whether a part of the model is one of LightGBM."""
        names = any(name.startswith("lightgbm.") for name in self.globals)
        return names or self.format == "lightgbm"

    @property
    def example(self) -> list[Any] | None:
        """A row that the model should be able to predict, or None if unknown."""
        known = all(field.example is not None or field.nullable for field in self.inputs)
        return [field.example for field in self.inputs] if self.inputs and known else None


def read(directory: Path) -> Manifest:
    """Read the manifest of the bundle in `directory`.

    Raises:
        StartupError: The manifest is missing, malformed or has another schema.
    """
    path = directory / "modelpack.json"
    try:
        return _manifest(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StartupError(f"modelpack.json cannot be read: {error!r}.") from error


def _manifest(document: Mapping[str, Any]) -> Manifest:
    if document["schema"] != SCHEMA:
        raise ValueError(f"its schema is {document['schema']!r}, but {SCHEMA} is supported")
    model = document["model"]
    signature = model["signature"]
    return Manifest(
        model=model,
        files=tuple(_file(file) for file in (model["file"], *model["more_files"])),
        members=tuple(map(_member, model["members"])),
        globals=frozenset(model["globals"]),
        method=model["method"],
        layout=signature["layout"],
        inputs=tuple(_field(field) for field in signature["inputs"]),
        named=signature["named"],
        classes=signature["classes"],
        probabilities=signature["probabilities"],
        main=document.get("code", {}).get("main"),
        startup=document.get("code", {}).get("startup"),
        environment=document.get("environment", {}),
        modelpack=document.get("modelpack", ""),
        labels=_tuple(model.get("labels")),
        transform_output=model.get("transform_output"),
        target=_member(model["target"]) if model.get("target") else None,
        context=_context(model["context"]) if model.get("context") else Context(),
        tensors=tuple(map(_tensor, signature.get("tensors", ()))),
    )


def _tensor(document: Mapping[str, Any]) -> Tensor:
    return Tensor(document["name"], tuple(document["shape"]))


def _context(document: Mapping[str, Any]) -> Context:
    digests = {file["path"]: file["sha256"] for file in document["files"]}
    return Context(document["artifacts"], digests, document["folder"], document["settings"])


def _member(document: Mapping[str, Any]) -> Member:
    return Member(document["file"], tuple(document["path"]))


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
    quantiles = document.get("quantiles")
    return Field(
        name=document["name"],
        type=document["type"],
        nullable=document["nullable"],
        example=document["example"],
        categories=_tuple(document["categories"]),
        dtype=document.get("dtype"),
        missing_none=document.get("missing_none", False),
        minimum=quantiles[0] if quantiles else document.get("minimum"),
        maximum=quantiles[-1] if quantiles else document.get("maximum"),
    )
