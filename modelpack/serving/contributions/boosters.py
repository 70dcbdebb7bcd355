"""LightGBM, XGBoost and CatBoost, which compute Shapley values of their trees themselves."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from ..data.columns import Rows
from ..runtimes.lightgbm import LightGBMRuntime
from ..runtimes.native_chain import NativeChainRuntime
from ..runtimes.xgboost import XGBoostRuntime
from .origins import Column
from .scope import Scope
from .steps import Steps, UnavailableError
from .sums import Sums, by_input

LIBRARIES = ("lightgbm", "xgboost", "catboost")
MAX_BYTES = 64_000_000
"""Size of a model file. The time of Shapley values grows with the size of the trees."""


class Booster:
    """The contributions of a booster."""

    method = "shapley"
    references = None
    is_short = True
    is_probability = False

    def __init__(self, steps: Steps, columns: Sequence[Column], scope: Scope) -> None:
        """Check the size of the model.

        Raises:
            UnavailableError: It is too large, or compiled.
        """
        if steps.compiler is not None:
            raise UnavailableError("A compiled booster does not contain the sizes of its nodes.")
        service = scope.service
        model = service.manifest.model
        if sum(file["size"] for file in (model["file"], *model["more_files"])) > MAX_BYTES:
            raise UnavailableError(f"The file is larger than {MAX_BYTES // 10**6} MB.")
        runner = service.runner
        self._runner = runner.native if isinstance(runner, NativeChainRuntime) else runner
        self._steps = steps
        self._sources = [column.source for column in columns]
        self._width = len(service.manifest.inputs)

    def sums(self, rows: Rows) -> Sums:
        """Return the Shapley values of one row for each output of the trees."""
        library = type(self._steps.predictor).__module__.partition(".")[0]
        values = np.asarray(getattr(self, f"_{library}")(rows), np.float64)
        table = values.reshape(-1, len(self._sources) + 1)
        parts = by_input(table[:, :-1], self._sources, self._width)
        return Sums(table[:, -1], parts)

    def _lightgbm(self, rows: Rows) -> Any:
        if isinstance(self._runner, LightGBMRuntime) and not self._steps.transformers:
            block = self._runner.encoded(rows)
        else:
            block = self._steps.transformed(rows)
        return self._steps.predictor.predict(block, pred_contrib=True)

    def _xgboost(self, rows: Rows) -> Any:
        import xgboost  # noqa: PLC0415 - the library of this model alone

        if isinstance(self._runner, XGBoostRuntime):
            is_first = not self._steps.transformers
            block = self._runner.encoded(rows) if is_first else self._steps.transformed(rows)
            return self._runner.predict_matrix(block, pred_contribs=True)
        model = self._steps.predictor
        block = self._steps.transformed(rows)
        options = {"enable_categorical": True} if hasattr(block, "columns") else {}
        missing = getattr(model, "missing", None)
        matrix = xgboost.DMatrix(
            block, missing=np.nan if missing is None else missing, nthread=1, **options
        )
        best = getattr(model, "best_iteration", None) if _stopped_early(model) else None
        limits = {} if best is None else {"iteration_range": (0, int(best) + 1)}
        booster = model.get_booster()
        return booster.predict(matrix, pred_contribs=True, validate_features=False, **limits)

    def _catboost(self, rows: Rows) -> Any:
        from catboost import Pool  # noqa: PLC0415 - the library of this model alone

        model = self._steps.predictor
        pool = Pool(self._steps.transformed(rows), cat_features=model.get_cat_feature_indices())
        return model.get_feature_importance(pool, type="ShapValues", thread_count=1)


def _stopped_early(model: Any) -> bool:
    return model.get_booster().attr("best_iteration") is not None


def is_booster(predictor: Any) -> bool:
    """Return whether a model is one of a library of boosters."""
    return type(predictor).__module__.partition(".")[0] in LIBRARIES
