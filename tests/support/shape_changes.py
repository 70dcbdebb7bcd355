"""Compiled models with one array of another shape, and what the service does with them."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import zipfile
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from modelpack.serving import settings
from modelpack.serving.errors import StartupError
from modelpack.serving.manifest import Field, Manifest, Member, ModelFile
from modelpack.serving.runtimes.compiled import load, npy_header, read_arrays
from modelpack.serving.service import Service

STOPPED, SILENT, SAME, OTHER = "stopped", "not ready", "same answers", "other answers"
METHODS = ("predict", "predict_proba", "decision_function", "transform")


class Place(NamedTuple):
    """An array of a document: the number of its record, and the keys from its attributes."""

    record: int
    keys: tuple[Any, ...]


class Model:
    """A compiled model, and rows for it.

    Attributes:
        document: The JSON of the file.
        arrays: Its arrays.
    """

    def __init__(self, content: bytes, signature: Any, method: str, rows: Any) -> None:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            self.document = json.loads(archive.read("model.json"))
            self.contents = [archive.read(name) for name in archive.namelist()[1:]]
        self.arrays = read_arrays(io.BytesIO(content))
        self.rows = rows
        self.manifest = _manifest(signature, method, rows)
        self.expected = answers(self.service(content), rows)

    def class_name(self, place: Place) -> str:
        return str(self.document["records"][place.record]["class"].partition(":")[2])

    def places(self) -> Iterator[Place]:
        """Yield the places of all arrays, and of lists of arrays."""
        for number, record in enumerate(self.document["records"]):
            for name, value in record["attributes"].items():
                for keys in _array_keys(value):
                    yield Place(number, (name, *keys))

    def value(self, place: Place) -> Any:
        value = self.document["records"][place.record]["attributes"]
        for key in place.keys:
            value = value[key]
        return value

    def changes(self, place: Place) -> Iterator[tuple[str, bytes]]:
        """Yield the file with other shapes of the array at a place, and what was changed."""
        value = self.value(place)
        if "array" not in value:
            items = next(iter(value.values())) if isinstance(value, dict) else value
            shorter, longer = items[:-1], [*items, items[-1]]
            for what, changed in (("drop item", shorter), ("append item", longer)):
                whole = {next(iter(value)): changed} if isinstance(value, dict) else changed
                yield what, self._written(place, whole, None)
            return
        number = value["array"]
        for what, array in _changed(self.arrays[number]):
            header = {**self.document["arrays"][number], "shape": list(array.shape)}
            content = npy_header(header) + array.tobytes("F" if header["fortran"] else "C")
            yield what, self._written(place, {"array": len(self.arrays)}, (header, content))

    def _written(self, place: Place, value: Any, more: tuple[Any, bytes] | None) -> bytes:
        document = deepcopy(self.document)
        owner = document["records"][place.record]["attributes"]
        for key in place.keys[:-1]:
            owner = owner[key]
        owner[place.keys[-1]] = value
        contents = list(self.contents)
        if more is not None:
            header, content = more
            contents.append(content)
            digest = hashlib.sha256(content).hexdigest()
            document["arrays"].append({**header, "sha256": digest})
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("model.json", json.dumps(document))
            for number, content in enumerate(contents):
                archive.writestr(f"arrays/{number}.npy", content)
        return stream.getvalue()

    def service(self, content: bytes) -> Service:
        """Start the service as `Service.load`.

        Raises:
            StartupError: The file is rejected.
        """
        try:
            model = load(io.BytesIO(content), ())
        except ValueError as error:  # as loading.py reports it
            raise StartupError(f"the model does not load: {error}") from error
        service = Service(self.manifest, model, settings.Limits())
        service.warm_up()
        return service

    def outcome(self, content: bytes) -> tuple[str, str]:
        """Return what a service with another file does, and its error."""
        try:
            service = self.service(content)
        except StartupError as error:
            return STOPPED, str(error)
        if not service.ready:
            return SILENT, ""
        return (SAME if _are_equal(answers(service, self.rows), self.expected) else OTHER), ""


def _manifest(signature: Any, method: str, rows: Any) -> Manifest:
    values: Any = rows
    if isinstance(rows, dict):
        values = {name: column[0] for name, column in rows.items()}
    elif isinstance(rows, np.ndarray):
        values = {f"x{number}": value for number, value in enumerate(rows[0].tolist())}
    else:
        values = {"text": rows[0]} if isinstance(rows[0], str) else rows[0]
    fields = [
        Field(name, "string" if isinstance(each, str) else "number", example=each)
        if each == each  # noqa: PLR0124 - NaN
        else Field(name, "number", nullable=True)
        for name, each in values.items()
    ]
    return Manifest(
        model={},
        files=(ModelFile("model.compiled", "", "compiled", "raw"),),
        members=(Member(0, ()),),
        globals=frozenset(),
        method=method,
        layout=signature.layout,
        inputs=tuple(fields),
        named=signature.layout == "frame",
        classes=None if signature.classes is None else list(signature.classes),
        probabilities=signature.probabilities,
    )


def answers(service: Service, rows: Any) -> dict[str, Any]:
    """Return the answers of the plan to all rows, by method; the class of an error instead."""
    found: dict[str, Any] = {}
    part = service.runner._plan.batch
    block = rows
    if isinstance(rows, dict):
        block = [np.array(c, object if isinstance(c[0], str) else None) for c in rows.values()]
    for method in METHODS:
        if method in part:
            with np.errstate(all="ignore"):
                try:
                    result = part[method](block)
                except Exception as error:
                    found[method] = type(error).__name__
                else:
                    found[method] = result.toarray() if hasattr(result, "toarray") else result
    return found


def _are_equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    if one.keys() != other.keys():
        return False
    for method, value in one.items():
        expected = other[method]
        if isinstance(value, str) or isinstance(expected, str):
            if type(value) is not type(expected) or value != expected:
                return False
        elif value.shape != expected.shape or value.tobytes() != expected.tobytes():
            return False
    return True


def _array_keys(value: Any, keys: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the keys of arrays in a value, and of lists that contain arrays or records."""
    if isinstance(value, dict):
        if "array" in value:
            yield keys
        for kind in ("tuple", "objects"):
            if kind in value:
                if kind == "tuple" and any(map(_is_reference, value[kind])):
                    yield keys
                for number, each in enumerate(value[kind]):
                    yield from _array_keys(each, (*keys, kind, number))
    elif isinstance(value, list):
        if any(map(_is_reference, value)):
            yield keys
        for number, each in enumerate(value):
            yield from _array_keys(each, (*keys, number))


def _is_reference(value: Any) -> bool:
    return isinstance(value, dict) and bool({"array", "record"} & value.keys())


def _changed(array: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    for axis in range(array.ndim):
        if array.shape[axis]:
            last = array.take([-1], axis=axis)
            yield f"drop {axis}", array.take(range(array.shape[axis] - 1), axis=axis)
            yield f"append {axis}", np.concatenate([array, last], axis=axis)
    yield "lead", array[np.newaxis]
    yield "trail", array[..., np.newaxis]
    if array.ndim > 1:
        yield "flatten", array.ravel()
    if array.size and array.shape != (1,):
        yield "one", array.ravel()[:1]
    if array.size:
        yield "scalar", array.ravel()[:1].reshape(())


def models(folder: Path) -> Iterator[tuple[str, Path, Any]]:
    """Yield class, model file and rows of each model of an unpacked corpus of one release."""
    groups = pickle.loads((folder / "groups.pkl").read_bytes())
    for entry in json.loads((folder / "index.json").read_text()):
        if "error" not in entry:
            place = folder / entry["folder"] / entry["files"][0]
            yield entry["class"], place, groups[entry["group"]][1]
