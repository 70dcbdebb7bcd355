"""FOLDER: compile the models that a release saved, compare their answers, print them as JSON."""

from __future__ import annotations

import io
import json
import pickle
import sys
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from modelpack.compilation.compile import compiled_content
from modelpack.errors import ModelpackError
from modelpack.inspection import inspector, limits
from modelpack.inspection.recording import Unrecordable, record_files
from modelpack.serving.data.columns import FallbackRequiredError
from modelpack.serving.runtimes.compiled import read
from modelpack.serving.runtimes.plans import Context, Plan, compile_model
from modelpack.types import Member

from .processes import Result

ULP = 2.0**-52


def compare_all(folder: Path) -> Iterator[Result]:
    """Compare all models that a release saved to `folder`."""
    limits.KEPT_BYTES = limits.KEPT_TOTAL = limits.STREAM_BYTES  # as for `--compiled`
    groups = pickle.loads((folder / "groups.pkl").read_bytes())
    for entry in json.loads((folder / "index.json").read_text()):
        if "error" not in entry:
            yield _compared(folder / entry["folder"], entry, groups[entry["group"]])


def _compared(place: Path, entry: dict[str, Any], group: Any) -> Result:
    layout, rows, single = group
    settings = f"{' '.join(entry['settings'].split())} of {entry['group']}"
    try:
        contents = compiled_files(place, entry["files"])
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


def compiled_files(place: Path, names: Iterable[str]) -> set[bytes]:
    """Return the different compiled forms of the files of one model.

    Raises:
        ModelpackError: The model has no compiled form.
        Unrecordable: The same.
    """
    contents = set()
    for name in names:
        spec = inspector.inspect(place / name)
        if spec.not_compilable:
            raise Unrecordable(f"inspect reports that {spec.not_compilable}")
        contents.add(compiled_content(spec, record_files([str(place / name)], [Member()])))
    return contents


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


if __name__ == "__main__":
    for library in ("sklearn", "scipy"):  # compiled models need none
        sys.modules[library] = None  # type: ignore[assignment]
    print(json.dumps([asdict(each) for each in compare_all(Path(sys.argv[1]))]))
