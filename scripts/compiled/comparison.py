"""Models that a release saved, compiled and compared with the answers of the release."""

from __future__ import annotations

import io
import json
import pickle
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modelpack.compilation.compile import compiled_content
from modelpack.errors import ModelpackError
from modelpack.inspection import inspector
from modelpack.inspection.recording import Unrecordable, record_files
from modelpack.serving.data.columns import FallbackRequiredError
from modelpack.serving.runtimes.compiled import read
from modelpack.serving.runtimes.plans import Context, Plan, compile_model
from modelpack.types import Member

ULP = 2.0**-52


@dataclass(frozen=True)
class Result:
    """The comparison of one model.

    Attributes:
        kind: The class.
        settings: The settings, and the name of the data.
        refused: Why the model has no compiled form, or "".
        ulp: The largest difference, of the larger number or of 1.
        wrong: What differs by more than last bits, or "".
        answers: The rows that were compared, of all methods.
    """

    kind: str
    settings: str
    refused: str = ""
    ulp: float = 0.0
    wrong: str = ""
    answers: int = 0


def compare_all(folder: Path) -> Iterator[Result]:
    """Compare all models that a release saved to `folder`."""
    groups = pickle.loads((folder / "groups.pkl").read_bytes())
    for entry in json.loads((folder / "index.json").read_text()):
        if "error" not in entry:
            yield _compared(folder / entry["folder"], entry, groups[entry["group"]])


def _compared(place: Path, entry: dict[str, Any], group: Any) -> Result:
    layout, rows, single = group
    settings = f"{' '.join(entry['settings'].split())} of {entry['group']}"
    contents = set()
    try:
        for name in entry["files"]:
            spec = inspector.inspect(place / name)
            recording = record_files([str(place / name)], [Member()])
            contents.add(compiled_content(spec, recording))
    except (ModelpackError, Unrecordable) as error:
        return Result(entry["class"], settings, refused=str(error))
    content = contents.pop()
    found = read(io.BytesIO(content))
    names = list(rows) if layout == "frame" else []
    plan = compile_model(found.root, Context(layout, names, found.release))
    answers = pickle.loads((place / "answers.pkl").read_bytes())
    wrong = "the formats give different compiled models" if contents else ""
    ulp, count = 0.0, 0
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for method, expected in answers.items():
            if method not in plan.batch or expected["together"] is None:
                continue
            try:
                largest = _difference(plan, method, expected, rows, single)
                ulp = max(ulp, largest)
            except Exception as error:  # every kind is a finding
                wrong = wrong or f"{method}: {error!r:.200}"
            count += len(expected["together"])
    return Result(entry["class"], settings, ulp=ulp, wrong=wrong, answers=count)


def _difference(plan: Plan, method: str, expected: Any, rows: Any, single: Any) -> float:
    """Return the largest difference in ulp.

    Raises:
        ValueError: Labels differ, or only one of both rejects a row.
    """
    largest = _ulp(plan.batch[method](_block(rows)), expected["together"])
    for number, answer in enumerate(expected["alone"]):
        got = plan.row_by_row[method](_block(rows, slice(number, number + 1)))
        largest = max(largest, _ulp(got, answer))
    for row, answer in zip(single, expected["limits"], strict=False):
        try:
            got = plan.row_by_row[method](np.array([row]))
        except (FallbackRequiredError, ArithmeticError, LookupError, TypeError, ValueError):
            got = None
        if (got is None) != (answer is None):
            raise ValueError(f"{'refuses' if got is None else 'accepts'} {row.tolist()}")
        if got is not None:
            largest = max(largest, _ulp(got, answer))
    return largest


def _block(rows: Any, part: slice = slice(None)) -> Any:
    """Return rows as a plan gets them: a matrix, a list of texts or dicts, or a list of columns."""
    if not isinstance(rows, dict):
        return rows[part]
    columns = (values[part] for values in rows.values())
    return [np.array(each, object if isinstance(each[0], str) else None) for each in columns]


def _ulp(got: Any, expected: np.ndarray) -> float:
    values = np.asarray(got.toarray() if hasattr(got, "toarray") else got)
    if values.shape != expected.shape:
        raise ValueError(f"the shape is {values.shape} instead of {expected.shape}")
    if expected.dtype.kind != "f":
        differs = np.flatnonzero((values != expected).reshape(len(values), -1).any(axis=1))
        if len(differs):
            first = int(differs[0])
            raise ValueError(
                f"{len(differs)} labels differ: row {first} has {values[first]!r} instead of"
                f" {expected[first]!r}"
            )
        return 0.0
    equal = (values == expected) | (np.isnan(values) & np.isnan(expected))
    scale = np.maximum(1.0, np.maximum(np.abs(values), np.abs(expected)))
    distances = np.where(equal, 0.0, np.abs(values - expected) / scale / ULP)
    return float(np.where(np.isnan(distances), np.inf, distances).max(initial=0.0))
