"""The reader of compiled models accepts what docs/compiled.md specifies, and nothing else."""

from __future__ import annotations

import hashlib
import io
import json
import math
import random
import zipfile
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from modelpack.serving.errors import StartupError
from modelpack.serving.manifest import Manifest
from modelpack.serving.runtimes.compiled import CompiledRuntime, npy_header, read


def npy(array: np.ndarray) -> bytes:
    header = {"descr": array.dtype.str, "fortran": False, "shape": list(array.shape)}
    return npy_header(header) + array.tobytes()


def entry(array: np.ndarray) -> dict[str, Any]:
    return {
        "descr": array.dtype.str,
        "fortran": False,
        "shape": list(array.shape),
        "sha256": hashlib.sha256(npy(array)).hexdigest(),
    }


ARRAYS = [np.array([1.0, 2.0]), np.array([[3, 4]])]


def example() -> dict[str, Any]:
    attributes = {"coef_": {"array": 0}, "intercept_": 1.5, "positive": False}
    return {
        "schema": 1,
        "release": [1, 7],
        "labels": None,
        "members": [1],
        "records": [
            {"class": "sklearn.linear_model._base:LinearRegression", "attributes": attributes},
            {
                "class": "sklearn.pipeline:Pipeline",
                "attributes": {"steps": [{"tuple": ["a", {"record": 0}]}]},
            },
        ],
        "arrays": [entry(array) for array in ARRAYS],
    }


def written(document: Any, arrays: list[bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        text = document if isinstance(document, str) else json.dumps(document)
        archive.writestr("model.json", text)
        for number, content in enumerate(arrays):
            archive.writestr(f"arrays/{number}.npy", content)
    return stream.getvalue()


CONTENTS = [npy(array) for array in ARRAYS]


def test_example_is_read() -> None:
    model = read(io.BytesIO(written(example(), CONTENTS)))
    ((name, step),) = model.root.steps
    assert (name, model.release, model.labels) == ("a", (1, 7), None)
    assert type(step).__name__ == "LinearRegression"
    assert step.coef_.tolist() == [1.0, 2.0]
    assert not step.coef_.flags.writeable


def test_arrays_are_npy_files() -> None:
    for array, content in zip(ARRAYS, CONTENTS, strict=True):
        loaded = np.load(io.BytesIO(content), allow_pickle=False)
        np.testing.assert_array_equal(loaded, array, strict=True)


def set_in(*path: Any) -> Callable[[Any], None]:
    *keys, last, value = path

    def change(document: Any) -> None:
        for key in keys:
            document = document[key]
        document[last] = value

    return change


COEF = ("records", 0, "attributes", "coef_")


@pytest.mark.parametrize(
    "change",
    [
        set_in("schema", 2),
        set_in("schema", True),
        set_in("other", 1),
        set_in("release", ["1", 7]),
        set_in("release", [-1, 7]),
        set_in("records", 0, "other", 1),
        set_in(*COEF, math.nan),
        set_in(*COEF, 1 << 63),
        set_in(*COEF, {"array": 0, "record": 0}),
        set_in(*COEF, {"objects": [1], "shape": [-1]}),
        set_in("members", []),
        set_in("members", [2]),
        set_in("members", "x"),
        set_in("release", [1]),
        set_in(*COEF, {"array": 2}),
        set_in(*COEF, {"array": -1}),
        set_in(*COEF, {"array": True}),
        set_in(*COEF, {"record": 0}),
        set_in(*COEF, {"record": 1}),
        set_in(*COEF, {"function": "os.system"}),
        set_in(*COEF, {"dtype": "O"}),
        set_in(*COEF, {"unknown": 1}),
        set_in(*COEF, {}),
        set_in(*COEF, {"float": "1"}),
        set_in("records", 0, "class", "os:system"),
        set_in("records", 0, "class", "sklearn.x"),
        set_in("records", 0, "class", 1),
        set_in("arrays", 0, "descr", "|O"),
        set_in("arrays", 0, "descr", [["x", "O"]]),
        set_in("arrays", 0, "descr", "<f4"),
        set_in("arrays", 0, "shape", [3]),
        set_in("arrays", 0, "shape", [-2]),
        set_in("arrays", 0, "shape", [2**62, 2**62]),
        set_in("arrays", 0, "shape", "2"),
        set_in("arrays", 0, "fortran", True),
        set_in("arrays", 0, "sha256", "0" * 64),
        set_in("arrays", []),
        lambda document: document.pop("arrays"),
        lambda document: document.pop("release"),
    ],
)
def test_changed_document_is_rejected(change: Callable[[Any], None]) -> None:
    document = example()
    change(document)
    with pytest.raises(ValueError, match="no compiled model"):
        read(io.BytesIO(written(document, CONTENTS)))


def test_deeply_nested_document_is_rejected() -> None:
    document = example()
    value: Any = 1
    for _ in range(300):
        value = [value]
    document["records"][0]["attributes"]["coef_"] = value
    with pytest.raises(ValueError, match="no compiled model"):
        read(io.BytesIO(written(document, CONTENTS)))


@pytest.mark.parametrize(
    "content",
    [
        written(example(), CONTENTS[:1]),
        written(example(), [*CONTENTS, CONTENTS[0]]),
        written(example(), CONTENTS, zipfile.ZIP_DEFLATED),
        written([], CONTENTS),
        b"#!/bin/sh\n" + written(example(), CONTENTS),
        written(example(), CONTENTS) + b"more",
        written(json.dumps(example()).replace("1.5", "1e999"), CONTENTS),
        written(json.dumps(example()).replace("{", '{"schema": 1, ', 1), CONTENTS),
        written("\ufeff" + json.dumps(example()), CONTENTS),
        written(example(), [CONTENTS[0] + b"x", CONTENTS[1]]),
        b"",
        b"PK\x05\x06" + b"\0" * 18,
    ],
)
def test_other_archives_are_rejected(content: bytes) -> None:
    with pytest.raises(ValueError, match="no compiled model"):
        read(io.BytesIO(content))


def test_no_flipped_byte_changes_an_array_unseen() -> None:
    content = written(example(), CONTENTS)
    generator = random.Random(0)
    for position in [generator.randrange(len(content)) for _ in range(600)]:
        changed = bytearray(content)
        changed[position] ^= 1 << generator.randrange(8)
        try:
            model = read(io.BytesIO(bytes(changed)))
        except ValueError:
            continue
        assert model.root.steps[0][1].coef_.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("class_name", "reason"),
    [("NoSuch", "NoSuch has no plan"), ("LinearSVC", "LinearSVC of this kind .*AttributeError")],
)
def test_invalid_estimator_stops_the_start_in_one_line(class_name: str, reason: str) -> None:
    document = example()
    document["records"][0]["class"] = f"sklearn.linear_model._base:{class_name}"
    model = read(io.BytesIO(written(document, CONTENTS)))
    manifest = cast("Manifest", SimpleNamespace(layout="array", inputs=()))
    with pytest.raises(StartupError, match=f"cannot start: the compiled model is inv.*{reason}"):
        CompiledRuntime(model, manifest)
