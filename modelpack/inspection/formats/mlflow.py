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
from pathlib import Path, PurePosixPath
from typing import Any

from modelpack.types import FieldType, Scalar

from .. import limits
from ..encodings import yaml
from ..nodes import Malformed, require

NAME = "MLmodel"
UNSERVED = "mlflow-flavour"
PYTHON_MODEL = "mlflow-python-model"
PYTHON_FLAVOUR = "python_function"

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
}
"""Flavour -> the keys of its file and version, and the distribution of the version."""

_IN_FOLDER = {"keras": ("model.keras",), "pytorch": ("model.pt2", "model.pth")}
"""Flavour whose key names a folder -> the files of which MLflow writes one."""

_PYTHON_FILE = ("python_model", "mlflow-skinny", "mlflow_version")
"""As a line of `_FILES`: an object of the author's class. All folders have this flavour."""

_PYTHON_LOADER = "mlflow.pyfunc.model"

_TYPES: dict[str, FieldType] = {
    "boolean": "boolean", "integer": "integer", "long": "integer", "float": "number",
    "double": "number", "string": "string", "datetime": "datetime",
}  # fmt: skip
_DTYPES = {"boolean": "bool", "integer": "int32", "long": "int64", "float": "float32",
           "double": "float64"}  # fmt: skip
"""Type of a column -> the dtype that MLflow converts it to."""

_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,99})==([0-9][0-9A-Za-z.+!-]{0,60})", re.ASCII)
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
    """What an MLflow folder says of its model.

    Attributes:
        path: The file of the model.
        framework: The distribution of its library.
        version: The version of that, or "".
        predict_fn: The method that MLflow calls for a prediction.
        columns: The columns of the signature; None if it has none, or tensors.
        rows: Rows of the input example, with the names of their columns if it has them.
        python: The minor version of training, or "".
        requirements: Distribution -> version.
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
    if flavour == PYTHON_FLAVOUR:
        _require_plain(described, function)
        entry = {**described, **function}
    key, framework, version_key = _FILES.get(flavour, _PYTHON_FILE)
    name = _text(entry.get(key)) or _text(function.get("data") or function.get("model_path"))
    require(bool(name), f"MLmodel does not name the file of the flavour {flavour}")
    named = [f"{name}/{each}" for each in _IN_FOLDER.get(flavour, ())]
    name = next((each for each in named if os.path.lexists(folder / each)), (*named, name)[0])
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
        dict(_requirements(folder)),
    )


def _flavour(
    flavours: Mapping[str, Any], function: Mapping[str, Any]
) -> tuple[str, Mapping[str, Any]]:
    """Return the flavour that MLflow would load, and its entry."""
    if function.get("loader_module") == _PYTHON_LOADER:
        return PYTHON_FLAVOUR, function
    module = _text(function.get("loader_module")).rpartition(".")[2]
    served = [name for name in _FILES if name in flavours]
    if not served:
        named = ", ".join(sorted(set(flavours) - {"python_function"})) or "python_function"
        message = (
            f"the MLflow model has the flavour {ascii(named)[1:-1][:100]}; modelpack reads "
            f"{', '.join(_FILES)}"
        )
        raise Malformed(UNSERVED, message)
    flavour = module if module in served else served[0]
    return flavour, _mapping(flavours[flavour])


def _require_plain(described: Mapping[str, Any], function: Mapping[str, Any]) -> None:
    """Require an object of the author's class that needs nothing but its file and its code.

    Raises:
        Malformed: It needs more.
    """
    artifacts, config = function.get("artifacts"), function.get("config")
    reasons = {
        "is a script that MLflow runs to load it (models from code)": "model_code_path" in function,
        f"reads files that an image does not contain (artifacts: {_names(artifacts)})": artifacts,
        f"reads settings that an image does not contain (model_config: {_names(config)})": config,
        "takes other objects than rows (type hints of predict)": (
            described.get("is_signature_from_type_hint") not in (None, False, "false")
            or described.get("type_hint_from_example") not in (None, False, "false")
        ),
    }
    for reason, applies in reasons.items():
        if applies:
            message = f"the MLflow model of the author's Python code (python_model) {reason}"
            raise Malformed(PYTHON_MODEL, message)


def _names(value: object) -> str:
    return ascii(", ".join(map(str, _mapping(value))))[1:-1][:100]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _regular(folder: Path, name: str) -> Path:
    """Return the path of a file in a folder, through no symbolic link.

    Raises:
        Malformed: The name leaves the folder, or names no regular file in it.
    """
    shown = ascii(name)[1:-1][:100]
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
    require(stat.S_ISREG(mode), f"{shown} in the folder is not a regular file")
    return path


def _content(folder: Path, name: str) -> bytes:
    path = _regular(folder, name)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        shown = ascii(name)[1:-1]
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


def _requirements(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the exact versions in requirements.txt that a model may need."""
    if not os.path.lexists(folder / "requirements.txt"):
        return
    for line in _content(folder, "requirements.txt").decode("utf-8", "replace").splitlines():
        match = _PIN.match(line.strip())
        if match and not _NOT_OF_MODEL.fullmatch(match[1].lower()):
            yield match[1].lower().replace("_", "-"), match[2]


def example_rows(model: LoggedModel, names: Sequence[str]) -> tuple[tuple[Scalar, ...], ...]:
    """Return the rows of the example in the order of `names`, none if they do not fit."""
    if model.names is None:
        return tuple(row for row in model.rows if len(row) == len(names))
    if sorted(model.names) != sorted(names):
        return ()
    at = [model.names.index(name) for name in names]
    return tuple(tuple(row[index] for index in at) for row in model.rows)
