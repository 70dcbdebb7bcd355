"""Faults planted in a bundle's service: the parity check fails for each, and passes without.

The model in the sandbox and the service are processes of the same bundle, faults included, as they
are for an image.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile
from types import SimpleNamespace
from typing import Any, cast

import joblib
import numpy as np
import pandas as pd
import preloaded
import pytest
from gunicorn_server import python_path, serve
from lightgbm import LGBMRegressor
from serving_models import BASE, ENVIRONMENT
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

import modelpack
from modelpack.bundle.render import render
from modelpack.inspection import inspect
from modelpack.parity import ReferenceSources, build_request, complete_reference, prepare
from modelpack.smoke.checks import parity
from modelpack.smoke.probe import CheckFailedError, Probe
from modelpack.types import Bundle, Reference, RunningService

ROWS = 80
_rng = np.random.default_rng(0)
_NUMBERS = pd.DataFrame(_rng.normal(size=(ROWS, 4)) * 3, columns=list("abcd"))
_GROUPS = _rng.integers(0, 4, ROWS)
_MIXED = pd.DataFrame(
    {
        "id": pd.Categorical([[40, 10, 30, 20][g] for g in _GROUPS], categories=[40, 10, 30, 20]),
        "town": pd.Categorical([["Oslo", "Rome", "Bonn", "Bern"][g] for g in _GROUPS[::-1]]),
        "flag": _NUMBERS.a > 0,
        "x": _NUMBERS.b.astype("float32"),
        "y": (_NUMBERS.c * 10).astype("int64"),
    }
)
_EFFECTS = np.array([9.0, -9.0, 3.0, 0.5])
_TARGET = _EFFECTS[_GROUPS] + 2 * _EFFECTS[_GROUPS[::-1]] + _MIXED.x + _MIXED.y + 4 * _MIXED.flag
_SMALL = {"n_estimators": 30, "random_state": 0, "n_jobs": 1, "min_child_samples": 2, "verbose": -1}

MODELS: dict[str, Callable[[], tuple[Any, pd.DataFrame]]] = {
    "floats": lambda: (_linear(_NUMBERS), _NUMBERS),
    "integers": lambda: (_linear(_INTEGERS), _INTEGERS),
    "short floats": lambda: (_linear(_NUMBERS.astype("float32")), _NUMBERS.astype("float32")),
    "encoded": lambda: (_encoded(_ENCODED, "town"), _ENCODED),
    "dates": lambda: (_encoded(_DATED, "day"), _DATED),
    "mixed": lambda: (
        LGBMRegressor(**_SMALL, min_data_per_group=2, cat_smooth=1).fit(_MIXED, _TARGET),
        _MIXED,
    ),
}
_ENCODED = _MIXED[["x", "town"]].astype({"town": str})
_DATED = pd.DataFrame(
    {"x": _NUMBERS.a, "day": pd.Timestamp("2024-03-30 22:30") + pd.to_timedelta(_GROUPS, "D")}
)
_INTEGERS = (_NUMBERS * 1000).astype("int64")


FRAMES = ("mixed", "encoded", "dates")
"""Those that are given a DataFrame, the others an array."""


def _linear(frame: pd.DataFrame) -> LinearRegression:
    return LinearRegression().fit(frame, frame.sum(axis=1) + _rng.normal(size=ROWS))


def _encoded(frame: pd.DataFrame, column: str) -> Pipeline:
    encoder = OneHotEncoder(handle_unknown="ignore")
    columns = ColumnTransformer([("one", encoder, [column]), ("x", "passthrough", ["x"])])
    return make_pipeline(columns, LinearRegression()).fit(frame, _TARGET)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Reference]]:
    """The saved model of a name and its rows, for which no answers are known."""
    found: dict[str, tuple[Path, Reference]] = {}

    def get(name: str) -> tuple[Path, Reference]:
        if name not in found:
            path = tmp_path_factory.mktemp("model") / "model.joblib"
            model, frame = MODELS[name]()
            joblib.dump(model, path)
            modelpack.record(model, frame, path)
            found[name] = (path, Reference(()))
        return found[name]

    return get


def render_bundle(path: Path, folder: Path) -> tuple[Bundle, Reference]:
    spec, reference = prepare(inspect(path), ReferenceSources([path]))
    unknown = replace(reference, answers=None, alone=None, source="model")
    return render(spec, ENVIRONMENT, BASE, folder / "bundle"), unknown


def predict_in_another_process(folder: Path, request: bytes) -> bytes:
    environ = {"PYTHONPATH": python_path()}
    with TemporaryFile() as source, TemporaryFile() as output, TemporaryFile() as log:
        source.write(request)
        source.seek(0)
        process = preloaded.run_module(
            "modelpack.serving.reference", folder, environ, (output, log, source)
        )
        assert process.wait(60) == 0, os.pread(log.fileno(), 10_000, 0)
        return Path(f"/proc/self/fd/{output.fileno()}").read_bytes()


@contextmanager
def run_probe(bundle: Bundle, reference: Reference) -> Iterator[Probe]:
    answers = predict_in_another_process(bundle.directory, build_request(reference, bodies=True))
    known = complete_reference(reference, answers)
    assert not known.problem
    with serve(bundle.directory, preload=True, WEB_CONCURRENCY="1") as server:
        url = f"http://127.0.0.1:{server.port}"
        running = cast("RunningService", SimpleNamespace(url=url, engine="process"))
        probe = Probe(running, bundle.model, reference, lambda: known)
        yield probe
        probe.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_without_a_fault_all_routes_agree(name, packed, tmp_path):
    bundle, reference = render_bundle(packed(name)[0], tmp_path)
    assert bundle.model.signature.layout == ("frame" if name in FRAMES else "array")
    with run_probe(bundle, reference) as probe:
        assert "equal bit for bit" in parity.check_parity(probe)
    assert probe.parity is not None
    by_pandas = [route for route in probe.parity.routes if "pandas" in route]
    assert len(by_pandas) == 4


FAULTS: dict[str, tuple[str, str, str]] = {
    "a value one row further": ("mixed", "data/rows.py", """
def _shifted(method):
    def call(self, rows):
        decoded = method(self, rows)
        if isinstance(decoded, np.ndarray):
            return np.roll(decoded, 1, axis=0)
        return [np.roll(decoded[0], 1), *decoded[1:]]
    return call

Decoder.decode, Decoder.explain = _shifted(Decoder.decode), _shifted(Decoder.explain)
"""),
    "digits lost in CSV": ("floats", "media/csv.py", """
import builtins

def float(cell):
    return builtins.float(f"{builtins.float(cell):.12g}")
"""),
    "rows in C order": ("floats", "data/frames.py", """
_right = _by_column
_by_column = lambda rows: np.array(_right(rows), order="C")
"""),
    "columns in another order": ("floats", "data/frames.py", """
_build = MatrixBuilder.build
MatrixBuilder.build = lambda self, rows: np.asfortranarray(_build(self, rows)[:, ::-1])
"""),
    "columns of a frame in another order": ("mixed", "data/frames.py", """
_build = FrameBuilder.build
FrameBuilder.build = lambda self, rows: _build(self, rows)[self._names[::-1]]
"""),
    "codes one further": ("mixed", "data/frames.py", """
def _wrong(self, field):
    make = _right(self, field)
    def call(column):
        values = make(column)
        return values.from_codes((values.codes + 1) % len(values.categories), values.categories)
    return call

_right, FrameBuilder._category = FrameBuilder._category, _wrong
"""),
    "codes of sorted categories": ("mixed", "data/frames.py", """
def _wrong(self, field):
    make = _right(self, field)
    def call(column):
        values = make(column)
        return values.from_codes(values.codes, values.categories.sort_values(ascending=False))
    return call

_right, FrameBuilder._category = FrameBuilder._category, _wrong
"""),
    "floats for integers": ("integers", "data/frames.py", """
def typed(column, dtype):
    return column.astype(np.float64)
"""),
    "floats of 64 bits for 32": ("short floats", "data/frames.py", """
def typed(column, dtype):
    return column.astype(np.float64)
"""),
    "floats of 64 bits for 32 in a frame": ("encoded", "data/frames.py", """
def typed(column, dtype):
    return column
"""),
    "objects for categories": ("mixed", "data/frames.py", """
FrameBuilder._category = lambda self, field: self._text("object")
"""),
    "dates without their time": ("dates", "data/dates.py", """
_right = nanoseconds

def nanoseconds(value):
    found = _right(value)
    return found and found - found % (86400 * SECOND)
"""),
    "dates an hour later": ("dates", "data/frames.py", """
_dates = FrameBuilder._dates
FrameBuilder._dates = lambda self, column, dtype: _dates(
    self, column + np.timedelta64(1, "h"), dtype)
"""),
    "milliseconds taken for seconds": ("dates", "data/dates.py", """
MILLISECOND = SECOND
"""),
}  # fmt: skip
"""Fault -> the model that shows it, the file of modelpack.serving, and the added code."""


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_fails_the_check(fault, packed, tmp_path):
    name, file, code = FAULTS[fault]
    bundle, reference = render_bundle(packed(name)[0], tmp_path)
    source = bundle.directory / "modelpack" / "serving" / file
    source.write_text(source.read_text() + code)
    with run_probe(bundle, reference) as probe, pytest.raises(CheckFailedError):
        parity.check_parity(probe)


@pytest.mark.slow
def test_fault_in_pandas_forms_is_found_only_by_pandas_bodies(packed, tmp_path):
    """Booleans are `True` there, and `true` in the CSV that modelpack writes."""
    bundle, reference = render_bundle(packed("mixed")[0], tmp_path)
    source = bundle.directory / "modelpack" / "serving" / "data" / "cells.py"
    wrong = """
_right = cell_parser

def cell_parser(field):
    parse = _right(field)
    return lambda cell: False if cell == "True" else parse(cell)
"""
    source.write_text(source.read_text() + wrong)
    with (
        run_probe(bundle, reference) as probe,
        pytest.raises(CheckFailedError, match="to_csv of pandas"),
    ):
        parity.check_parity(probe)
