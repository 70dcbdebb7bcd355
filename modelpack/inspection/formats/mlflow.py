"""Read the description of an MLflow model folder: its `MLmodel`, example and requirements.

The file of the model is read by the reader of its own format. `skops_trusted_types` is not read: it
comes with the model, so it is no trust. See the release notes of MLflow on GHSA-w582-9x45-8mpx.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from modelpack.types import FieldType, ModelContext, ModelFile, Scalar

from .. import limits
from ..encodings import yaml
from ..nodes import Malformed, require
from ..stream import HashingFile

NAME = "MLmodel"
UNSERVED = "mlflow-flavour"
SAVED_MODEL = "mlflow-savedmodel"
PYTHON_MODEL = "mlflow-python-model"
PYTHON_FLAVOUR = "python_function"
ARTIFACT = "artifact"

_MAX_FILE_BYTES = 4 * limits.MIB
_MAX_COLUMNS = 100_000
_MAX_ROWS = 5
_MAX_EXAMPLE_BYTES = 2**14

_FILES = {
    "sklearn": ("pickled_model", "scikit-learn", "sklearn_version"),
    "xgboost": ("data", "xgboost", "xgb_version"),
    "lightgbm": ("data", "lightgbm", "lgb_version"),
    "catboost": ("data", "catboost", "catboost_version"),
    "onnx": ("data", "onnx", "onnx_version"),
    "keras": ("data", "keras", "keras_version"),
    "pytorch": ("model_data", "torch", "pytorch_version"),
    "tensorflow": ("data", "keras", "version"),  # its keras_version is that of TensorFlow
}
"""Flavour -> the keys of its file and version, and the distribution of the version."""

_IN_FOLDER = {
    "keras": ("model.keras",), "pytorch": ("model.pt2", "model.pth"),
    "tensorflow": ("model.keras", "model.h5", "model/saved_model.pb", "saved_model.pb"),
}  # fmt: skip
"""Flavour whose key names a folder -> the files of which MLflow writes one."""

_PYTHON_FILE = ("python_model", "mlflow-skinny", "mlflow_version")
"""As a line of `_FILES`: an object of the author's class. All folders have this flavour."""

_SCRIPT_FILE = ("model_code_path", "mlflow-skinny", "mlflow_version")
"""The same, of a script that MLflow runs to get the object (models from code)."""

_PYTHON_LOADERS = {"mlflow.pyfunc.model", "mlflow.pyfunc.loaders.code_model"}

_MAX_ARTIFACTS = 10_000
_MAX_SETTINGS_BYTES = 2**20
_CONTROL = re.compile(r"[\0-\x1f\x7f\\]")

_TYPES: dict[str, FieldType] = {
    "boolean": "boolean", "integer": "integer", "long": "integer", "float": "number",
    "double": "number", "string": "string", "datetime": "datetime",
}  # fmt: skip
_DTYPES = {"boolean": "bool", "integer": "int32", "long": "int64", "float": "float32",
           "double": "float64"}  # fmt: skip
"""Type of a column -> the dtype that MLflow converts it to."""

_CLAUSE = r"(?:===?|~=|!=|<=?|>=?)\s*[0-9][0-9A-Za-z.+!*-]{0,60}"
_REQUIREMENT = re.compile(
    rf"([A-Za-z0-9][A-Za-z0-9._-]{{0,99}})(?:\[[\w,. -]*\])?\s*({_CLAUSE}(?:\s*,\s*{_CLAUSE})*)?"
    r"(?:\s*;.*)?",
    re.ASCII,
)
_PIN = re.compile(r"==([0-9][0-9A-Za-z.+!-]{0,60})", re.ASCII)
_MAX_REQUIREMENTS = 1_000
_PYTHON = re.compile(r"(3\.\d{1,2})(?:\.\d{1,3})?", re.ASCII)
_NOT_OF_MODEL = re.compile(r"mlflow.*|pytest.*|pip|setuptools|wheel", re.ASCII)
"""Distributions that MLflow adds to its requirements, and that no model needs."""


@dataclass(frozen=True)
class InputColumn:
    """A column of the signature of MLflow. `dtype`: that of pandas, None if it may vary."""

    name: str
    type: FieldType
    required: bool
    dtype: str | None = None


@dataclass(frozen=True)
class LoggedModel:
    """The description of a model in an MLflow folder.

    Attributes:
        path: The file of the model.
        framework: The distribution of its library.
        version: The version of that, or "".
        predict_fn: The method that MLflow calls for a prediction.
        columns: The columns of the signature; None if it has none, or tensors.
        rows: Rows of the input example, with the names of their columns if it has them.
        python: The minor version of training, or "".
        requirements: Distribution -> version ("1.2"), specifier (">=1,<2"), or "".
        is_script: The file is a script that MLflow runs to get the object of the author's class.
        context: What an object of the author's class reads besides its file.
    """

    path: Path
    flavour: str
    framework: str
    version: str
    predict_fn: str
    columns: tuple[InputColumn, ...] | None
    names: tuple[str, ...] | None
    rows: tuple[tuple[Scalar, ...], ...]
    python: str
    requirements: Mapping[str, str]
    is_script: bool = False
    context: ModelContext | None = None


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder with an `MLmodel`."""
    try:
        return stat.S_ISDIR(path.stat().st_mode) and os.path.lexists(path / NAME)
    except (OSError, ValueError):
        return False


def read_folder(folder: Path) -> LoggedModel:
    """Read the description in a folder. The file of the model is not opened.

    Raises:
        Malformed: MLflow writes no such folder, or modelpack serves no such model.
    """
    try:
        document = yaml.decode(_content(folder, NAME))
    except Malformed as problem:
        raise Malformed(problem.code, f"MLmodel is not valid: {problem.message}") from problem
    described = _mapping(document)
    flavours = _mapping(described.get("flavors"))
    require(bool(flavours), "MLmodel names no flavour")
    function = _mapping(flavours.get("python_function"))
    flavour, entry = _flavour(flavours, function)
    is_script = flavour == PYTHON_FLAVOUR and "model_code_path" in function
    context = None
    if flavour == PYTHON_FLAVOUR:
        _require_rows(described)
        context = _context(folder, function)
        entry = {**described, **function}
    own = _SCRIPT_FILE if is_script else _PYTHON_FILE
    key, framework, version_key = _FILES.get(flavour, own)
    others = (entry.get("saved_model_dir"), function.get("data"), function.get("model_path"))
    name = next(filter(None, map(_text, (entry.get(key), *others))), "")
    require(bool(name), f"MLmodel does not name the file of the flavour {flavour}")
    name = re.split(r"[/\\]", name)[-1] if is_script else name  # a path of the training
    named = [f"{name}/{each}" for each in _IN_FOLDER.get(flavour, ())]
    name = next((each for each in named if os.path.lexists(folder / each)), (*named, name)[0])
    if name.endswith("saved_model.pb"):
        raise Malformed(SAVED_MODEL, "the MLflow model is a SavedModel of TensorFlow")
    if entry.get("save_exported_model") not in (None, False, "false"):  # of Keras
        raise Malformed(UNSERVED, "the MLflow model is exported (save_exported_model=True)")
    signature = _mapping(described.get("signature"))
    columns = _columns(signature.get("inputs"))
    names, rows = _example(folder, _mapping(described.get("saved_input_example_info")))
    python = _PYTHON.fullmatch(_text(function.get("python_version")))
    return LoggedModel(
        _regular(folder, name),
        flavour,
        framework,
        _text(entry.get(version_key)).partition("+")[0],  # of a build: 2.13.0+cpu
        _text(function.get("predict_fn")) or "predict",
        columns,
        names,
        rows,
        python[1] if python else "",
        _requirements(folder),
        is_script,
        context,
    )


def _flavour(
    flavours: Mapping[str, Any], function: Mapping[str, Any]
) -> tuple[str, Mapping[str, Any]]:
    """Return the flavour that MLflow would load, and its entry."""
    if function.get("loader_module") in _PYTHON_LOADERS:
        return PYTHON_FLAVOUR, function
    module = _text(function.get("loader_module")).rpartition(".")[2]
    served = [name for name in _FILES if name in flavours]
    if not served:
        named = ", ".join(sorted(set(flavours) - {"python_function"})) or "python_function"
        message = (
            f"the MLflow model has the flavour {repr(named)[1:-1][:100]}; modelpack reads "
            f"{', '.join(_FILES)}"
        )
        raise Malformed(UNSERVED, message)
    flavour = module if module in served else served[0]
    return flavour, _mapping(flavours[flavour])


def _require_rows(described: Mapping[str, Any]) -> None:
    """Require an object of the author's class that takes rows.

    Raises:
        Malformed: It takes something else.
    """
    task = _text(_mapping(described.get("metadata")).get("task"))
    hints = ("is_signature_from_type_hint", "type_hint_from_example")
    reasons = {
        "takes other objects than rows (type hints of predict)": any(
            described.get(hint) not in (None, False, "false") for hint in hints
        ),
        "takes messages (a chat model or an agent)": task.startswith("agent/"),
    }
    for reason, applies in reasons.items():
        if applies:
            message = f"the MLflow model of the author's Python code (python_model) {reason}"
            raise Malformed(PYTHON_MODEL, message)


def _context(folder: Path, function: Mapping[str, Any]) -> ModelContext | None:
    """Return the artifacts and settings of an object of the author's class, if it has any."""
    named = _mapping(function.get("artifacts"))
    settings = _mapping(function.get("config"))
    if not named and not settings:
        return None
    artifacts: dict[str, str] = {}
    files: dict[str, ModelFile] = {}
    for name, entry in named.items():
        path = _text(_mapping(entry).get("path"))
        is_below = PurePosixPath(path).parts[:1] == ("artifacts",)
        require(is_below, f"the artifact {repr(name)[1:-1][:100]} is not in the folder artifacts")
        artifacts[str(name)] = path
        for file in _files(folder, path):
            files.setdefault(file.path, file)
        require(len(files) <= _MAX_ARTIFACTS, f"it has more than {_MAX_ARTIFACTS:,} artifacts")
    try:
        typed = yaml.typed(dict(settings))
    except Malformed as problem:
        message = (
            f"the settings of the MLflow model (model_config) are not served: {problem.message}"
        )
        raise Malformed(PYTHON_MODEL, message) from problem
    size = len(json.dumps(typed))
    require(size <= _MAX_SETTINGS_BYTES, "the settings (model_config) are larger than 1 MiB")
    ordered = tuple(files[path] for path in sorted(files))
    return ModelContext(artifacts, ordered, str(folder), typed)


def _files(folder: Path, name: str) -> Iterator[ModelFile]:
    """Yield the regular files at a path of the folder, through no symbolic link."""
    target = _inside(folder, name)
    found = islice(target.rglob("*"), _MAX_ARTIFACTS + 1) if target.is_dir() else [target]
    for path in sorted(found):
        below = path.relative_to(folder).as_posix()
        require(not _CONTROL.search(below), "the name of an artifact has a control character")
        if path.is_dir() and not path.is_symlink():
            continue
        sha256, size = _digest(_regular(folder, below), below)
        yield ModelFile(below, sha256, size, "raw", None, ARTIFACT)


def _digest(path: Path, shown: str) -> tuple[str, int]:
    """Return the SHA-256 and the size of a file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            hashed = HashingFile(file)
            return hashed.finish(), hashed.size
    except OSError as error:
        text = f"{repr(shown)[1:-1]} cannot be read ({error.strerror})"
        raise Malformed("malformed", text) from error


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _regular(folder: Path, name: str) -> Path:
    """Return the path of a file in a folder, through no symbolic link.

    Raises:
        Malformed: The name leaves the folder, or names no regular file in it.
    """
    path = _inside(folder, name)
    is_regular = stat.S_ISREG(path.lstat().st_mode)
    require(is_regular, f"{repr(name)[1:-1][:100]} in the folder is not a regular file")
    return path


def _inside(folder: Path, name: str) -> Path:
    """Return the path of a file or folder that exists in a folder, through no symbolic link.

    Raises:
        Malformed: The name leaves the folder, or leads through a symbolic link.
    """
    shown = repr(name)[1:-1][:100]
    parts = PurePosixPath(name).parts
    is_inside = bool(parts) and not name.startswith("/") and ".." not in parts
    require(is_inside and not re.search(r"[\0\\]", name), f"the path {shown} leaves the folder")
    path = folder
    for part in parts:
        path = path / part
        try:
            mode = path.lstat().st_mode
        except OSError as error:
            raise Malformed("malformed", f"MLmodel names {shown}, which does not exist") from error
        require(not stat.S_ISLNK(mode), f"{shown} in the folder is a symbolic link")
    return path


def _content(folder: Path, name: str) -> bytes:
    path = _regular(folder, name)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        shown = repr(name)[1:-1]
        raise Malformed("malformed", f"{shown} cannot be read ({error.strerror})") from error
    maximum = _MAX_FILE_BYTES // limits.MIB
    require(len(data) <= _MAX_FILE_BYTES, f"it is larger than {maximum} MiB", "too-large")
    return data


def _json(text: str | bytes, what: str) -> Any:
    """Parse JSON. NaN and infinities are missing values."""
    try:
        return json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise Malformed("malformed", f"{what} is not valid JSON") from error


def _columns(text: object) -> tuple[InputColumn, ...] | None:
    """Return the columns of a signature; None for tensors, and for types that rows do not have."""
    if not isinstance(text, str):
        return None
    listed = _json(text, "the signature in MLmodel")
    if not isinstance(listed, list) or not 0 < len(listed) <= _MAX_COLUMNS:
        return None
    found: list[InputColumn] = []
    for entry in map(_mapping, listed):
        name, typed = entry.get("name"), str(entry.get("type"))
        kind = _TYPES.get(typed)
        if not isinstance(name, str) or not name or kind is None:
            return None
        required = entry.get("required", not entry.get("optional", False))
        found.append(InputColumn(name, kind, required is not False, _DTYPES.get(typed)))
    return tuple(found) if len({each.name for each in found}) == len(found) else None


def _example(
    folder: Path, info: Mapping[str, Any]
) -> tuple[tuple[str, ...] | None, tuple[tuple[Scalar, ...], ...]]:
    """Return the columns and the first rows of the input example, if it has this form."""
    name = _text(info.get("artifact_path"))
    if not name or not name.endswith(".json"):
        return None, ()
    if info.get("example_no_conversion") == "true":
        return None, ()
    document = _json(_content(folder, name), "the input example")
    listed = document.get("data") if isinstance(document, dict) else document
    columns = document.get("columns") if isinstance(document, dict) else None
    if isinstance(document, dict) and listed is None:
        listed = document.get("inputs")
    rows = listed[:_MAX_ROWS] if isinstance(listed, list) else []
    if not all(isinstance(row, list) and all(map(_is_scalar, row)) for row in rows):
        return None, ()
    if len(json.dumps(rows)) > _MAX_EXAMPLE_BYTES or len(set(map(len, rows))) > 1:
        return None, ()
    named = isinstance(columns, list) and all(isinstance(each, str) for each in columns)
    return tuple(columns or ()) if named else None, tuple(map(tuple, rows))


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)


def _requirements(folder: Path) -> dict[str, str]:
    """Return the lines of requirements.txt that a model may need."""
    if not os.path.lexists(folder / "requirements.txt"):
        return {}
    lines = _content(folder, "requirements.txt").decode("utf-8", "replace").splitlines()
    named: dict[str, str] = {}
    for line in lines[:_MAX_REQUIREMENTS]:
        match = _REQUIREMENT.fullmatch(line.partition(" #")[0].strip())
        if match and not _NOT_OF_MODEL.fullmatch(match[1].lower()):
            text = re.sub(r"\s+", "", match[2] or "")
            pin = _PIN.fullmatch(text)
            named[match[1].lower().replace("_", "-")] = pin[1] if pin else text
    return named


def example_rows(model: LoggedModel, names: Sequence[str]) -> tuple[tuple[Scalar, ...], ...]:
    """Return the rows of the example in the order of `names`, none if they do not fit."""
    if model.names is None:
        return tuple(row for row in model.rows if len(row) == len(names))
    if sorted(model.names) != sorted(names):
        return ()
    at = [model.names.index(name) for name in names]
    return tuple(tuple(row[index] for index in at) for row in model.rows)
