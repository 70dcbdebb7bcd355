"""`compile_model()`: the file of a compiled model, with the attributes that its plan reads."""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import resource
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from modelpack.errors import NoCompiledFormError
from modelpack.inspection import record
from modelpack.serving.runtimes.compiled import ARRAY, DOCUMENT, SCHEMA, load, npy_header, read
from modelpack.serving.runtimes.plans import Context, UnplannedError, compile_model
from modelpack.serving.runtimes.plans.inputs import (
    has_short_integers,
    require_long_floats,
)
from modelpack.serving.runtimes.plans.parameters import PARAMETERS
from modelpack.serving.runtimes.plans.records import Record, make_record
from modelpack.types import Member, ModelFile, ModelSpec, Recording, Safety

from .stop_words import ENGLISH

FORMAT = "compiled"
_RELEASE = re.compile(r"(\d{1,4})\.(\d{1,4})", re.ASCII)
MEMORY_BYTES = 1 << 30, 32
"""Address space that the plan may add: minimum, and per byte of the file."""
_TIME = (1980, 1, 1, 0, 0, 0)  # the first that a zip archive can contain
_BASES = {
    *("estimator_params", "stop_word_list"),
    *("algorithm", "deflation_mode", "mode", "norm_y_weights"),  # of partial least squares
}
_KNOWN = {*_BASES, *chain.from_iterable(PARAMETERS.values())}
"""Parameters of constructors, some of which base classes set in every class."""


def compile_file(spec: ModelSpec, path: Path) -> ModelSpec:
    """Compile the model that `spec` describes to the file `path`, and return its spec.

    Raises:
        NoCompiledFormError: A part of the model has no compiled form.
        ModelRefusedError: A file was changed after its inspection.
    """
    if spec.transform_output is not None:
        raise _unsupported(spec, "its steps return DataFrames")
    recording = record(spec)
    content = compiled_content(spec, recording)
    path.write_bytes(content)
    file = ModelFile(
        str(path), hashlib.sha256(content).hexdigest(), len(content), "raw", None, FORMAT
    )
    return replace(
        spec,
        file=file,
        format=FORMAT,
        python=None,
        requirements={"numpy": ""},
        versions={},
        local_modules=(),
        safety=Safety("pass", ()),
        globals=(),
        members=(Member(),),
        more_files=(),
        reasons={"numpy": "it computes the predictions of the compiled model"},
        callables=(),
        trained_on=None,
        recorded={},
        other_versions={},
        locales=(),
        evidence=(),
        labels=None,
        callable_positions=(),
        own_states={},
        compiled_from=tuple(replace(each, path=Path(each.path).name) for each in spec.files),
    )


def compiled_content(spec: ModelSpec, recording: Recording) -> bytes:
    """Return the bytes of the compiled file, with the attributes that the plans read.

    Raises:
        NoCompiledFormError: A part of the model has no plan.
    """
    release = _release(spec, recording)
    for each in recording.records:
        _require_known_parameters(spec, each)
    _add_stop_words(recording)
    whole = _write(recording, release, spec.labels)
    tracker = _Tracker()
    fields: Any = spec.signature.inputs  # with the attributes of those in a manifest
    names = [field.name for field in fields]
    context = Context(spec.signature.layout, names, release)
    try:
        with _limited_memory(len(whole)):
            model = read(io.BytesIO(whole), tracker.make)
            require_long_floats(model.root, fields)
            plan = compile_model(model.root, context, has_short_integers(fields))
    except (ValueError, MemoryError) as error:  # of a file that no library wrote
        raise _unsupported(spec, f"its attributes are invalid ({type(error).__name__})") from error
    except UnplannedError as error:
        missing = tracker.omitted(recording)
        reason = f"{missing} has no compiled form" if missing else _reason(spec, error)
        raise _unsupported(spec, reason) from error
    methods = [spec.method, *(["predict_proba"] if spec.signature.probabilities else [])]
    for method in methods:
        if method not in plan.batch:
            raise _unsupported(spec, f"{spec.estimator} has no compiled {method}")
    content = _write(tracker.reduced(recording), release, spec.labels)
    try:
        load(io.BytesIO(content), ())
    except ValueError as error:  # the service would not start
        raise _unsupported(spec, str(error.__cause__ or error)) from error
    return content


@contextmanager
def _limited_memory(size: int) -> Iterator[None]:
    """Limit the address space of this process to what the plan of an honest model needs.

    A small file can contain one large array and thousands of trees that refer to it.
    """
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except OSError:  # not Linux
        yield
        return
    minimum, per_byte = MEMORY_BYTES
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * resource.getpagesize() + max(minimum, per_byte * size)
    if soft != resource.RLIM_INFINITY:
        limit = min(limit, soft)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _add_stop_words(recording: Recording) -> None:
    """Add the list of scikit-learn to the records of vectorizers that name it."""
    for each in recording.records:
        if each["attributes"].get("stop_words") == "english":
            each["attributes"]["stop_word_list"] = list(ENGLISH)


def _reason(spec: ModelSpec, error: UnplannedError) -> str:
    """Return the text of an error, with the name of the estimator."""
    name = error.estimator or spec.estimator or ""
    reason = str(error).replace("has no plan", "has no compiled form")
    return reason if name in reason else f"{name} has no compiled form: {reason}"


def _unsupported(spec: ModelSpec, reason: str) -> NoCompiledFormError:
    return NoCompiledFormError(spec.file.path, reason)


def _release(spec: ModelSpec, recording: Recording) -> tuple[int, int]:
    """Return the release of scikit-learn that saved the records, (0, 0) if none are its own."""
    texts = {each["attributes"].get("_sklearn_version") for each in recording.records} - {None}
    releases = {
        (int(match[1]), int(match[2])) for text in texts if (match := _RELEASE.match(str(text)))
    }
    if not any(each["class"].startswith("sklearn.") for each in recording.records):
        return 0, 0
    if len(releases) != 1:
        shown = " and ".join(f"{a}.{b}" for a, b in sorted(releases)) or "no release"
        raise _unsupported(spec, f"its estimators name {shown} of scikit-learn instead of one")
    return releases.pop()


def _require_known_parameters(spec: ModelSpec, each: Mapping[str, Any]) -> None:
    name = each["class"].rpartition(":")[2]
    if name not in PARAMETERS:
        return
    # An attribute without a form may be a function in place of a method.
    names = {*each["attributes"], *each["omitted"]}
    unknown = {a for a in names if not a.startswith("_") and not a.endswith("_")} - _KNOWN
    if unknown:
        raise _unsupported(spec, f"{name} has an unknown parameter {min(unknown)}")


class _Tracker:
    """Makes records that remember which of their attributes a plan reads."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._used: dict[int, set[str]] = {}
        self._classes: dict[tuple[str, str], type[Record]] = {}

    def make(self, module: str, name: str, attributes: Mapping[str, Any]) -> Record:
        """Return a record like `make_record`."""
        key = (module, name)
        if key not in self._classes:
            self._classes[key] = self._tracked(type(make_record(module, name, {})))
        record = self._classes[key](attributes)
        self._records.append(record)
        return record

    def _tracked(self, base: type[Record]) -> type[Record]:
        used = self._used

        def read_attribute(record: Record, name: str) -> Any:
            used.setdefault(id(record), set()).add(name)
            return object.__getattribute__(record, name)

        members = {"__getattribute__": read_attribute, "__module__": base.__module__}
        return type(base.__name__, (base,), members)

    def omitted(self, recording: Recording) -> str | None:
        """Return what the first attribute is that was read, but has no form; or None."""
        for number, each in enumerate(recording.records):
            for name in sorted(self._names(number) & each["omitted"].keys()):
                owner = each["class"].rpartition(":")[2]
                return f"{each['omitted'][name]} in the attribute {name} of {owner}"
        return None

    def reduced(self, recording: Recording) -> Recording:
        """Return the recording with the attributes that were read, and what they refer to."""
        numbers: dict[int, int] = {}
        reduced = Recording()
        arrays: dict[int, int] = {}
        kept = self._reachable(recording)
        for number, each in enumerate(recording.records):
            if number not in kept:
                continue
            numbers[number] = len(reduced.records)
            attributes = {
                name: _renumbered(value, numbers, arrays)
                for name, value in each["attributes"].items()
                if name in self._names(number)
            }
            reduced.records.append({"class": each["class"], "attributes": attributes})
        for number in arrays:
            reduced.arrays.append(recording.arrays[number])
            reduced.contents.append(recording.contents[number])
        reduced.members = [numbers[number] for number in recording.members]
        return reduced

    def _names(self, number: int) -> set[str]:
        return self._used.get(id(self._records[number]), set())

    def _reachable(self, recording: Recording) -> set[int]:
        waiting, kept = list(recording.members), set()
        while waiting:
            number = waiting.pop()
            if number in kept:
                continue
            kept.add(number)
            attributes = recording.records[number]["attributes"]
            for name in self._names(number) & attributes.keys():
                waiting += _references(attributes[name])
        return kept


def _references(value: Any) -> Iterator[int]:
    """Yield the numbers of the records in a value."""
    if isinstance(value, list):
        for each in value:
            yield from _references(each)
    elif isinstance(value, dict):
        if "record" in value:
            yield value["record"]
        else:
            for each in value.values():
                yield from _references(each)


def _renumbered(value: Any, records: Mapping[int, int], arrays: dict[int, int]) -> Any:
    """Return a value with the new numbers of records, and of arrays, which are numbered here."""
    if isinstance(value, list):
        return [_renumbered(each, records, arrays) for each in value]
    if not isinstance(value, dict):
        return value
    if "record" in value:
        return {"record": records[value["record"]]}
    if "array" in value:
        return {"array": arrays.setdefault(value["array"], len(arrays))}
    return {key: _renumbered(each, records, arrays) for key, each in value.items()}


def _label(label: Any) -> Any:
    is_special = isinstance(label, float) and not math.isfinite(label)
    return {"float": str(label)} if is_special else label


def _write(recording: Recording, release: tuple[int, int], labels: Any) -> bytes:
    """Return the bytes of the file. The same recording gives the same bytes."""
    contents = [
        npy_header(header) + content
        for header, content in zip(recording.arrays, recording.contents, strict=True)
    ]
    arrays = [
        {
            "descr": header["descr"],
            "fortran": header["fortran"],
            "shape": header["shape"],
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        for header, content in zip(recording.arrays, contents, strict=True)
    ]
    document = {
        "schema": SCHEMA,
        "release": list(release),
        "labels": None if labels is None else list(map(_label, labels)),
        "members": recording.members,
        "records": [
            {"class": each["class"], "attributes": each["attributes"]} for each in recording.records
        ],
        "arrays": arrays,
    }
    text = json.dumps(document, sort_keys=True, allow_nan=False, separators=(",", ":"))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(DOCUMENT, _TIME), text)
        for number, content in enumerate(contents):
            archive.writestr(zipfile.ZipInfo(ARRAY.format(number), _TIME), content)
    return stream.getvalue()
