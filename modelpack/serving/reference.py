"""`python -m modelpack.serving.reference`: what the model itself says of rows, without the service.

Standard input: {"rows": [[...], ...]}, in the order of the signature. Standard output: one JSON
document, {"together": answers of all rows in one call, "alone": of each row in its own, "errors":
what the model said against a row, null where nothing}; answers are {"predictions": [...],
"probabilities": [...] or null}. The rows do not pass through the decoder of requests: they are
given to the estimator as its author would have given them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Callable, Sequence

from . import confinement, cpu

cpu.one_thread_each()

import numpy as np  # noqa: E402 - it looks at the number of threads once
import orjson  # noqa: E402

from . import loading, manifest, runners  # noqa: E402
from .columns import build  # noqa: E402
from .runners.estimator import EstimatorRunner  # noqa: E402

Row = Sequence[Any]


class Author:
    """The model of the bundle in `folder`, called without the service."""

    def __init__(self, folder: Path) -> None:
        self.facts = manifest.read(folder)
        self.model = loading.load(folder, self.facts)
        self.runner = runners.choose(self.model, self.facts)
        self.names = [field.name for field in self.facts.inputs]

    def answers(self, groups: Sequence[Sequence[Row]]) -> dict[str, Any]:
        """Of rows in groups, a call each."""
        predictions = [v for rows in groups for v in _listed(self._call(self.facts.method, rows))]
        probabilities = None
        if self.facts.probabilities and self.runner.can("predict_proba"):
            found = [self._call("predict_proba", rows) for rows in groups]
            probabilities = [row for each in found for row in _by_row(each)]
        return {"predictions": predictions, "probabilities": probabilities}

    def error(self, row: Row) -> str | None:
        """Why the model does not answer a row. That there is no memory is not of the row."""
        try:
            self._call(self.facts.method, [row])
        except MemoryError:
            raise
        except Exception as error:
            return f"{type(error).__name__}: {error}"[:500]
        return None

    def _call(self, method: str, rows: Sequence[Row]) -> Any:
        if type(self.runner) is EstimatorRunner:
            return getattr(self.model, method)(self._arranged(rows))
        columns = zip(self.facts.inputs, zip(*rows))  # of a library that takes no rows as they are
        return self.runner.call(method, [build(field, values) for field, values in columns])

    def _arranged(self, rows: Sequence[Row]) -> Any:
        arrange: dict[str, Callable[[Sequence[Row]], Any]] = {
            "array": _array,
            "frame": self._frame,
            "text": lambda rows: [row[0] for row in rows],
            "dicts": self._dicts,
        }
        return arrange[self.facts.layout](rows)

    def _frame(self, rows: Sequence[Row]) -> Any:
        import pandas as pd  # noqa: PLC0415 - only models that were fitted on a frame have it

        return pd.DataFrame([list(map(_known, row)) for row in rows], columns=self.names)

    def _dicts(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        pairs = (zip(self.names, row) for row in rows)
        return [{name: value for name, value in row if value is not None} for row in pairs]


def _array(rows: Sequence[Row]) -> np.ndarray:
    values = [list(map(_known, row)) for row in rows]
    kinds = {type(value) for row in values for value in row}
    return np.array(values, np.float64 if kinds <= {int, float, bool} else object)


def _known(value: Any) -> Any:
    return np.nan if value is None else value


def _listed(result: Any) -> list[Any]:
    dense = result.toarray() if hasattr(result, "toarray") else np.asarray(result)
    listed: list[Any] = dense.tolist()
    return listed


def _by_row(result: Any) -> list[Any]:
    if isinstance(result, list):
        return [list(row) for row in zip(*map(_listed, result))]
    return _listed(result)


def main() -> None:
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever the model prints is no part of the answer
    for refused in confinement.enter():
        sys.stderr.write(f"the inner wall is lower here, {refused}\n")
    rows = orjson.loads(sys.stdin.buffer.read())["rows"]
    author = Author(Path())
    errors = [author.error(row) for row in rows]
    good = [row for row, error in zip(rows, errors) if error is None]
    told = {
        "together": author.answers([good] if good else []),
        "alone": author.answers([[row] for row in good]),
        "errors": errors,
    }
    with answer:
        answer.write(orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY))


if __name__ == "__main__":
    main()
