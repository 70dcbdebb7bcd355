"""`python -m modelpack.serving.reference`: the answers of the model itself, without the service.

Standard input: {"rows": [[...], ...]}, in the order of the signature, and perhaps "bodies": true.
Standard output: one JSON document, {"together": answers of all rows in one call, "alone": of each
row in its own, "errors": what the model raised for a row, null where nothing, "batched": answers of
a compiled model to all rows in one call, each as if it were alone, "bodies": [{"name": "csv",
"content": base64, "predictions", "probabilities"}, ...], "without_bodies": why pandas could not
write them}; answers are {"predictions": [...], "probabilities": [...] or null}. The rows do not
pass through the decoder of requests: pandas or numpy make of them what the author of the model has.
`bodies` are the rows as pandas writes them, with the answers to what is written there.
"""

from __future__ import annotations

import base64
import copy
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Callable, Sequence

from . import settings
from .security import confinement

settings.limit_threads()

import numpy as np  # noqa: E402 - it looks at the number of threads once
import orjson  # noqa: E402

from . import loading, manifest, reference_bodies, reference_rows, runtimes  # noqa: E402
from .data.columns import build  # noqa: E402
from .reference_rows import Row  # noqa: E402
from .runtimes.catboost import CatBoostRuntime  # noqa: E402
from .runtimes.estimator import EstimatorRuntime, categorical_inputs  # noqa: E402
from .runtimes.keras import KerasRuntime  # noqa: E402
from .runtimes.lightgbm import LightGBMRuntime  # noqa: E402
from .runtimes.xgboost import XGBoostRuntime  # noqa: E402


class ReferenceModel:
    """The model of the bundle in `folder`, called without the service."""

    def __init__(self, folder: Path) -> None:
        self.facts = manifest.read(folder)
        self.model = loading.load(folder, self.facts)
        self.runner = runtimes.select_runtime(self.model, self.facts)
        self.call = self.runner.call

    def answers(self, groups: Sequence[Sequence[Row]]) -> dict[str, Any]:
        """Return the answers to rows in groups, one call for each."""
        answers = {"predictions": self._listed_answers(self.facts.method, groups, _listed)}
        has_probabilities = self.facts.probabilities and self.runner.has_method("predict_proba")
        answers["probabilities"] = (
            self._listed_answers("predict_proba", groups, _by_row) if has_probabilities else None
        )
        return answers

    def _listed_answers(
        self, method: str, groups: Sequence[Sequence[Row]], listed: Callable[[Any], Any]
    ) -> Any:
        """Call the model for each group, and return its answers.

        Raises:
            RuntimeError: The model does not return one answer for each row.
        """
        answers: list[Any] = []
        for rows in groups:
            found = listed(self._call(method, rows))
            if not isinstance(found, list) or len(found) != len(rows):
                count = len(found) if isinstance(found, list) else f"a {type(found).__name__}"
                raise RuntimeError(f"{method} of {len(rows)} rows returned {count} for answers.")
            answers += found
        return answers

    def batched(self, rows: Sequence[Row]) -> dict[str, Any] | None:
        """Return the answers of a compiled model as to single rows of many requests."""
        if self.runner.kind != "compiled":
            return None
        other = copy.copy(self)
        other.call = self.runner.call_each
        return other.answers([rows] if rows else [])

    def error(self, row: Row) -> str | None:
        """Return why the model refuses a row, None if it does not. A lack of memory is not the
        fault of the row.
        """
        try:
            self._call(self.facts.method, [row])
        except MemoryError:
            raise
        except Exception as error:
            return f"{type(error).__name__}: {error}"[:500]
        return None

    def bodies(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Return the rows as a user of pandas sends them, where their columns have names."""
        is_table = self.facts.layout in ("array", "frame") and self.facts.named
        if not rows or not is_table or not self._has_unique_names:
            return {"bodies": []}
        try:
            bodies = [
                {
                    "name": name,
                    "content": base64.b64encode(content).decode(),
                    **self.answers([written]),
                }
                for name, content, written in reference_bodies.write(self.facts.inputs, rows)
            ]
        except Exception as error:  # a frame that pandas cannot write proves nothing of the service
            return {"bodies": [], "without_bodies": f"{type(error).__name__}: {error}"[:500]}
        return {"bodies": bodies}

    @property
    def _has_unique_names(self) -> bool:
        return len({field.name for field in self.facts.inputs}) == len(self.facts.inputs)

    def _call(self, method: str, rows: Sequence[Row]) -> Any:
        kind = type(self.runner)
        if kind in (EstimatorRuntime, CatBoostRuntime):
            return getattr(self.model, method)(self._arranged(rows))
        if kind is LightGBMRuntime:
            return getattr(self.model, method)(reference_rows.codes(self.facts.inputs, rows))
        if isinstance(self.runner, XGBoostRuntime):
            return self.runner.call_matrix(method, reference_rows.codes(self.facts.inputs, rows))
        if self.facts.layout in ("text", "dicts"):
            column = np.empty(len(rows), object)
            column[:] = self._arranged(rows)
            return self.call(method, [column])
        pairs = zip(self.facts.inputs, zip(*rows))  # of a library that takes no rows as they are
        columns = [build(field, values) for field, values in pairs]
        if isinstance(self.runner, KerasRuntime):
            return self.runner.call_library(columns)
        return self.call(method, columns)

    def _arranged(self, rows: Sequence[Row]) -> Any:
        facts = self.facts
        if facts.layout == "text":
            return [row[0] for row in rows]
        if facts.layout == "dicts":
            names = [field.name for field in facts.inputs]
            pairs = (zip(names, row) for row in rows)
            return [{name: value for name, value in row if value is not None} for row in pairs]
        if facts.layout == "frame":
            return reference_rows.frame(facts.inputs, rows)
        if not facts.named:
            is_mixed = bool(categorical_inputs(self.model))
            return reference_rows.array(facts.inputs, rows, is_mixed)
        if find_spec("pandas") and self._has_unique_names:
            return reference_rows.frame(facts.inputs, rows)
        return reference_rows.matrix(facts.inputs, rows)


def _listed(result: Any) -> Any:
    dense = result.toarray() if hasattr(result, "toarray") else np.asarray(result)
    return dense.tolist()


def _by_row(result: Any) -> Any:
    if isinstance(result, list):
        return [list(row) for row in zip(*map(_listed, result))]
    return _listed(result)


def encode(document: Any) -> bytes:
    """Return JSON. Timestamps and other objects become text, as in responses of the service."""
    return orjson.dumps(document, default=str, option=orjson.OPT_SERIALIZE_NUMPY)


def main() -> None:
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever the model prints is no part of the answer
    for missing in confinement.confine():
        sys.stderr.write(f"the process is confined only in part, {missing}\n")
    request = orjson.loads(sys.stdin.buffer.read())
    model = ReferenceModel(Path())
    errors = [model.error(row) for row in request["rows"]]
    good = [row for row, error in zip(request["rows"], errors) if error is None]
    document = {
        "together": model.answers([good] if good else []),
        "alone": model.answers([[row] for row in good]),
        "errors": errors,
        "batched": model.batched(good),
        **(model.bodies(good) if request.get("bodies") else {}),
    }
    with answer:
        answer.write(encode(document))


if __name__ == "__main__":
    main()
