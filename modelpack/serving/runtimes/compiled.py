"""Compiled models: the reader of their format, and their runtime.

docs/compiled.md specifies the format. The reader accepts nothing else: a file that was changed or
made by somebody else stops the start, and none of its values is executed.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import warnings
import zipfile
from typing import Any, BinaryIO, Callable, ClassVar, Collection, Mapping, Sequence

import numpy as np

from ..data.columns import FallbackRequiredError, Rows, count
from ..data.frames import MatrixBuilder
from ..errors import StartupError
from ..manifest import Manifest
from . import trials
from .estimator import Chain, CompiledModel, EstimatorRuntime, to_list
from .plans import Context, UnplannedError, compile_model
from .plans.compiler import Part, classes_of
from .plans.inputs import has_short_integers
from .plans.records import Record, make_record
from .plans.runtime import PlannedRuntime, quick_rows
from .plans.scaling import FUNCTIONS
from .plans.shapes import require_shapes
from .wrappers import decode

SCHEMA = 1
DOCUMENT = "model.json"
ARRAY = "arrays/{}.npy"
MAX_DOCUMENT_BYTES = 1 << 30
VERSIONS = 100
"""A number of a version is below this one."""
MAX_DEPTH = 100
"""Levels of nested values in an attribute."""

_FUNCTIONS = {f"numpy.{function.__name__}": function for function in FUNCTIONS}
_CLASS = re.compile(
    r"(sklearn|scipy\.interpolate|scipy\.sparse|lightgbm|xgboost)(\.\w+)*:\w+", re.ASCII
)
_SCALAR = re.compile(r"\|b1|\|[iu]1|<[iufU]\d{1,9}|>[iufU]\d{1,9}|\|S\d{1,9}|\|V\d{1,9}", re.ASCII)
_KEYS = {"schema", "release", "members", "labels", "records", "arrays"}
_ZIP_START, _ZIP_END, _ZIP_END_BYTES = b"PK\x03\x04", b"PK\x05\x06", 22
_MAGIC = b"\x93NUMPY\x02\x00"
_NAN = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}

Make = Callable[[str, str, Mapping[str, Any]], Any]


def load(stream: BinaryIO, names: Collection[str]) -> CompiledModel:  # noqa: ARG001 - as all loaders
    """Read a compiled model.

    Raises:
        ValueError: The stream is not a compiled model as docs/compiled.md specifies it.
    """
    return read(io.BytesIO(stream.read()), _make_checked)


def _make_checked(module: str, name: str, attributes: Mapping[str, Any]) -> Record:
    """Return a record like `make_record`, whose arrays have the shapes that its class requires."""
    record = make_record(module, name, attributes)
    require_shapes(record)
    return record


def read(stream: BinaryIO, make: Make = make_record) -> CompiledModel:
    """Read a compiled model whose records are made by `make`. See `load`."""
    try:
        document, arrays = _read(stream)
        return _model(document, arrays, make)
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(f"it is no compiled model: {error!r:.200}") from error


def read_arrays(stream: BinaryIO) -> list[np.ndarray]:
    """Return the arrays of a compiled model that `read` accepts."""
    return _read(stream)[1]


def read_records(stream: BinaryIO) -> Sequence[Mapping[str, Any]]:
    """Return the records of a compiled model that `read` accepts, as in its document."""
    records: Sequence[Mapping[str, Any]] = _read(stream)[0]["records"]
    return records


def _read(stream: BinaryIO) -> tuple[Mapping[str, Any], list[np.ndarray]]:
    _require_bare_archive(stream)
    with zipfile.ZipFile(stream) as archive:
        text = _member(archive, DOCUMENT, MAX_DOCUMENT_BYTES).decode("utf-8")
        document = json.loads(text, parse_constant=_no_number, object_pairs_hook=_object)
        _require(document.keys() == _KEYS, f"its keys are not {sorted(_KEYS)}")
        versions = [document["schema"], *document["release"]]
        _require(_are_sizes(versions) and max(versions) < VERSIONS, "its versions are invalid")
        _require(document["schema"] == SCHEMA, f"its schema is not {SCHEMA}")
        return document, _arrays(archive, document["arrays"])


def _require_bare_archive(stream: BinaryIO) -> None:
    """Check that nothing is before or after the archive, which `zipfile` would skip."""
    starts = stream.read(len(_ZIP_START)) == _ZIP_START
    stream.seek(-_ZIP_END_BYTES, io.SEEK_END)
    ends = stream.read().startswith(_ZIP_END)
    _require(starts and ends, "it contains bytes before or after the archive")


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    _require(len(found) == len(pairs), "a key occurs more than once")
    return found


def _are_sizes(values: Sequence[Any]) -> bool:
    return all(type(value) is int and value >= 0 for value in values)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    info = archive.getinfo(name)
    is_stored = info.compress_type == zipfile.ZIP_STORED and info.file_size == info.compress_size
    _require(is_stored and info.file_size <= limit, f"{name} is compressed or too large")
    return archive.read(info)


def _arrays(archive: zipfile.ZipFile, headers: Sequence[Mapping[str, Any]]) -> list[np.ndarray]:
    expected = [DOCUMENT, *(ARRAY.format(number) for number in range(len(headers)))]
    _require(archive.namelist() == expected, "its files are not those that it lists")
    return [_array(archive, ARRAY.format(number), each) for number, each in enumerate(headers)]


def _array(archive: zipfile.ZipFile, name: str, header: Mapping[str, Any]) -> np.ndarray:
    shape = header["shape"]
    _require(_are_sizes(shape) and len(shape) <= 32, f"{name} has an invalid shape")
    dtype = dtype_of(header["descr"])
    prefix = npy_header(header)
    size = int(np.prod(shape, dtype=object))
    content = _member(archive, name, len(prefix) + size * dtype.itemsize)
    _require(content.startswith(prefix), f"the header of {name} is not the one that it lists")
    data = memoryview(content)[len(prefix) :]
    _require(len(data) == size * dtype.itemsize, f"{name} has another size than its shape")
    digest = hashlib.sha256(content).hexdigest()
    _require(digest == header["sha256"], f"the SHA-256 digest of {name} is {digest}")
    order: Any = "F" if header["fortran"] else "C"
    values: np.ndarray = np.frombuffer(data, dtype).reshape(shape, order=order)
    return values


def npy_header(header: Mapping[str, Any]) -> bytes:
    """Return the first bytes of a .npy file of version 2, up to the values."""
    descr = header["descr"]
    fields = descr if isinstance(descr, str) else [tuple(field) for field in descr]
    order, shape = bool(header["fortran"]), tuple(header["shape"])
    text = f"{{'descr': {fields!r}, 'fortran_order': {order}, 'shape': {shape!r}, }}"
    text += " " * (-(len(_MAGIC) + 4 + len(text) + 1) % 64) + "\n"
    return _MAGIC + len(text).to_bytes(4, "little") + text.encode("ascii")


def dtype_of(descr: Any) -> np.dtype[Any]:
    """Return the dtype of a description: "<f8", or a list of [name, description] of fields.

    Raises:
        ValueError: The description is another one, for example of objects.
    """
    if isinstance(descr, str):
        _require(_SCALAR.fullmatch(descr) is not None, f"{descr[:20]!r} is no type of numbers")
        return np.dtype(descr)
    fields = [(str(name), str(part)) for name, part in descr]
    _require(all(_SCALAR.fullmatch(part) for _, part in fields), "a field has an unknown type")
    return np.dtype(fields)


def _model(document: Mapping[str, Any], arrays: Sequence[np.ndarray], make: Make) -> CompiledModel:
    values = _Values(arrays, make)
    for record in document["records"]:
        values.add(record)
    members = [values.value({"record": number}) for number in document["members"]]
    major, minor = document["release"]
    release = int(major), int(minor)
    labels = values.value(document.get("labels"))
    _require(bool(members), "it has no member")
    root = members[0] if len(members) == 1 else Chain(members)
    return CompiledModel(root, release, None if labels is None else np.array(labels))


def _is_large(value: Any) -> bool:
    if isinstance(value, float):
        return math.isinf(value)
    return isinstance(value, int) and not -(1 << 63) <= value < 1 << 63


class _Values:
    """Converts the values of attributes. A record refers to earlier ones, so never to itself."""

    def __init__(self, arrays: Sequence[np.ndarray], make: Make) -> None:
        self.records: list[Any] = []
        self._arrays = arrays
        self._make = make

    def add(self, record: Mapping[str, Any]) -> None:
        _require(record.keys() == {"class", "attributes"}, "a record has other keys")
        key = record["class"]
        _require(_CLASS.fullmatch(key) is not None, f"{key[:60]!r} is no class of a record")
        attributes = {str(name): self.value(value) for name, value in record["attributes"].items()}
        module, _, name = key.partition(":")
        self.records.append(self._make(module, name, attributes))

    def value(self, value: Any, depth: int = 0) -> Any:
        _require(depth < MAX_DEPTH, "its values are nested too deeply")
        if isinstance(value, list):
            return [self.value(each, depth + 1) for each in value]
        if not isinstance(value, dict):
            _require(not _is_large(value), "a number is infinite, or has more than 64 bits")
            return value
        kind = next(iter(value))
        _require(len(value) == (2 if kind == "objects" else 1), "a value has other keys")
        if kind == "dict":
            return {self.value(k): self.value(v, depth + 1) for k, v in value["dict"]}
        if kind == "tuple":
            return tuple(self.value(each, depth + 1) for each in value["tuple"])
        if kind == "objects":
            return self._objects(value, depth)
        return self._SIMPLE[kind](self, value[kind])

    def _objects(self, value: Mapping[str, Any], depth: int) -> np.ndarray:
        items = [self.value(each, depth + 1) for each in value["objects"]]
        array = np.empty(len(items), object)
        for index, item in enumerate(items):  # numpy would unpack arrays and lists
            array[index] = item
        _require(_are_sizes(value["shape"]), "an array of objects has an invalid shape")
        shaped: np.ndarray = array.reshape(value["shape"])
        return shaped

    def _earlier(self, values: Sequence[Any], number: Any) -> Any:
        _require(type(number) is int and 0 <= number < len(values), "it refers to what is missing")
        return values[number]

    _SIMPLE: ClassVar[dict[str, Callable[[Any, Any], Any]]] = {
        "array": lambda self, number: self._earlier(self._arrays, number),
        "record": lambda self, number: self._earlier(self.records, number),
        "float": lambda _, text: _NAN[text],
        "dtype": lambda _, text: np.dtype(object) if text == "|O" else dtype_of(text),
        "function": lambda _, name: _FUNCTIONS[name],
        "slice": lambda self, parts: slice(*map(self.value, parts)),
    }


class _RejectingRuntime(EstimatorRuntime):
    """Rejects the rows that no plan covers, as the estimator does."""

    def __init__(self, model: CompiledModel, manifest: Manifest) -> None:
        self.model = model
        self.classes = manifest.classes
        builder = MatrixBuilder(manifest.inputs, manifest.named, ())
        self.arrange = builder.build if manifest.layout == "array" else to_list

    def call(self, method: str, rows: Rows) -> Any:  # noqa: ARG002 - as all runtimes
        raise ValueError(
            "the model rejects a value: one that is missing, infinite, extremely large, or of an"
            " unknown category"
        )


class CompiledRuntime(PlannedRuntime):
    """The runtime of a compiled model. There is no estimator that predicts other rows."""

    kind = "compiled"

    def __init__(self, model: CompiledModel, manifest: Manifest) -> None:
        names = [field.name for field in manifest.inputs]
        context = Context(manifest.layout, names, model.release)
        try:
            plan = compile_model(model.root, context, has_short_integers(manifest.inputs))
        except (UnplannedError, ValueError) as error:
            cause = "" if error.__cause__ is None else f" ({error.__cause__!r:.200})"
            raise StartupError(f"the compiled model is invalid: {error}{cause}.") from error
        super().__init__(_RejectingRuntime(model, manifest), plan, manifest)
        self.integer_order = "F"
        self.reason = "the model is compiled"
        self._labels = model.labels
        if manifest.classes is not None:
            self._require_classes(len(manifest.classes))

    def measure(self, manifest: Manifest, decode_rows: trials.Decode) -> None:
        """Measure how many rows take no noticeable time. `decode_rows` converts them from JSON."""
        groups = trials.decoded_groups(self.model, manifest, decode_rows)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            for rows in groups:
                self._require_shapes(rows, manifest)
            self.quick_rows = min(quick_rows(self, name, groups) for name in self._plan.batch)

    def _require_classes(self, number: int) -> None:
        """Check that the model has as many classes as the bundle names."""
        root = self.model.root
        predictor = root.members[-1] if isinstance(root, Chain) else root
        try:
            found = len(classes_of(predictor) if self._labels is None else self._labels)
        except (AttributeError, LookupError, TypeError):  # it does not know them
            return
        if found != number:
            raise StartupError(
                f"the compiled model has {found} classes, but the bundle names {number}."
            )

    def _require_shapes(self, rows: Rows, manifest: Manifest) -> None:
        """Check the shapes of the answers to some rows. The model may reject them."""
        classes = self.classes if self._labels is None else self._labels
        expected = {manifest.method: [count(rows)]}
        if manifest.probabilities:
            expected["predict_proba"] = [count(rows), *([] if classes is None else [len(classes)])]
        for method, sizes in expected.items():
            try:
                shapes = [call(method, rows).shape for call in (self.call_batch, self.call_each)]
            except FallbackRequiredError:
                continue
            if any(list(shape)[: len(sizes)] != sizes for shape in shapes):
                raise StartupError(
                    f"the {method} of the compiled model answers an array of shape {shapes[0]}"
                    f" to {count(rows)} rows."
                )

    def has_method(self, method: str) -> bool:
        return method in self._plan.batch

    def _planned(self, part: Part, method: str, rows: Rows) -> Any:
        result = super()._planned(part, method, rows)
        if self._labels is None or method != "predict":
            return result
        return decode(result, self._labels)
