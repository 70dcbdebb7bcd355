"""`Service`: a bundle's model, loaded and ready to predict."""

from __future__ import annotations

import gc
import logging
import os
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

import numpy as np
from flask import g

from . import loading, manifest, memory, platforms, runtimes, settings
from .data import extra_inputs, json_body, tables, validation
from .data import results as data_results
from .data.columns import FallbackRequiredError, Rows, count
from .data.extra_inputs import Extras
from .data.rows import Decoder, DictDecoder, UnlistedDecoder
from .data.tensors import Tensors
from .errors import StartupError
from .observability import data_metrics, logs, requests
from .observability.data_metrics import DataMetrics
from .observability.prediction_log import PredictionLog
from .problems import Problem
from .runtimes import estimator, trials
from .runtimes.estimator import CompiledModel
from .security import auth

log = logging.getLogger("modelpack.serving")

MAX_INPUTS = 100_000
"""Inputs of a model whose file does not list them. Each takes more memory than its value."""

MAX_LISTS = 1_000_000
"""Lists in a request of tensors. Each takes 64 bytes or more."""

Parse = Callable[[bytes, settings.Limits], Any]

PLANS = "MODELPACK_PLANS"
"""0: run the estimator itself instead of a compiled plan."""

METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform")


class Service:
    """A loaded model, and what the protocols need of it. `name` and `version` are those in URLs.

    Use `Service.load` to create one, and `predict` to predict rows without HTTP.
    """

    def __init__(self, facts: manifest.Manifest, model: Any, limits: settings.Limits) -> None:
        self.manifest = facts
        self.limits = limits
        self.tensors = Tensors(facts.tensors)
        # A request by columns has a list for each input, and one of tensors several for each row.
        lists = max(
            limits.rows, len(facts.inputs), min(limits.rows * self.tensors.lists, MAX_LISTS)
        )
        self._json_limits = replace(limits, rows=lists)
        self.runner = runtimes.select_runtime(model, facts)
        self.name = settings.name(os.environ)
        self.version = settings.version(os.environ)
        self.ready = False
        self._example: Rows | None = None  # which the model predicts
        self._decoder = _decoder(facts, limits)
        self._rejection_search = validation.RejectionSearch(facts.inputs)
        self._ignores = extra_inputs.are_ignored(os.environ)
        self._plans = settings.flag(os.environ, PLANS, "1")
        self._methods: tuple[str, ...] | None = None
        self.data_metrics: DataMetrics | None = None
        self.prediction_log: PredictionLog | None = None

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Service:
        """Verify and load the model of a bundle, and let it predict its own example.

        Logging is configured and the settings and the token are checked first.

        Args:
            path: The folder of the bundle, or a file in it.

        Raises:
            StartupError: The bundle is incomplete or was changed, or a setting is malformed.
        """
        logs.configure()
        auth.require_valid(os.environ)
        folder = Path(path)
        if not folder.is_dir():
            folder = folder.parent
        facts = manifest.read(folder)
        # These report a malformed setting before the load.
        platforms.limits(os.environ)
        PredictionLog.from_environment(os.environ, [field.name for field in facts.inputs])
        started = time.perf_counter()
        gc.disable()  # modules and models are not garbage
        try:
            model = loading.load(folder, facts)
            service = cls(facts, model, memory.current(os.environ))
            service.warm_up()
        finally:
            gc.enable()
        seconds = round(time.perf_counter() - started, 3)
        log.info("the model is loaded", extra={"facts": {"ready": service.ready, "s": seconds}})
        gc.collect()
        gc.freeze()  # collections in the workers do not write to pages that they share
        return service

    def warm_up(self) -> None:
        """Become ready if the model predicts its own example, or has none."""
        try:
            if self.manifest.example is not None:
                example = self._decoder.explain([self.manifest.example])
                result = estimator.contained(self.runner.call, self.manifest.method, example)
                data_results.require_rows(result, count(example), self.limits.answer_values)
                self._example = example
            self._select_plan()
            self.ready = True
        except Exception as error:
            if isinstance(self.runner.model, CompiledModel):
                raise StartupError(
                    f"the compiled model does not answer its own example: {_cause(error)!r:.200}."
                ) from error
            log.exception("the model does not answer its own example")

    def _select_plan(self) -> None:
        """Select a compiled plan and batching if their predictions are equal to the model's."""
        decode = self._decoder.explain
        if self._plans:
            self.runner = runtimes.select_plan(self.runner, self.manifest, decode)
        if not self.runner.can_batch:
            self.runner.can_batch = trials.can_batch(
                self.runner, self.manifest, self.methods, decode
            )

    def monitor(self, environ: Mapping[str, str]) -> None:
        """Record inputs and predictions from now on, as the variables say.

        Raises:
            StartupError: A variable is malformed.
        """
        if settings.flag(environ, data_metrics.VARIABLE, "1"):
            self.data_metrics = DataMetrics(self.manifest, self.runner.classes)
        names = [field.name for field in self.manifest.inputs]
        self.prediction_log = PredictionLog.from_environment(environ, names)

    def record_response(self, request_id: str, rows: Rows, results: Mapping[str, Any]) -> None:
        """Log a response, if it is to be logged. `results`: method -> what the model returned."""
        if self.prediction_log is not None:
            self.prediction_log.record(request_id, rows, results)

    def record_call(self, method: str, rows: Rows, result: Any) -> None:
        """Count the inputs and predictions of a call of the model."""
        if self.data_metrics is not None:
            self.data_metrics.record(method, rows, result)

    def require_ready(self) -> None:
        """Raise a Problem 503 if the model fails on its own example."""
        if not self.ready:
            raise Problem(503, "The model fails on its own example. The log shows the cause.")

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that clients can request, first the one that predicts."""
        if self._methods is None:
            others = [method for method in METHODS if self.runner.has_method(method)]
            if not self.manifest.probabilities:
                others = [method for method in others if not method.startswith("predict_")]
            others = [method for method in others if self._has(method)]
            self._methods = tuple(dict.fromkeys([self.manifest.method, *others]))
        return self._methods

    def _has(self, method: str) -> bool:
        """Return whether the fitted model supports a method.

        LinearDiscriminantAnalysis has a `transform` that some solvers do not support.
        """
        if self._example is None or method == self.manifest.method:
            return True
        try:
            estimator.contained(self.runner.call, method, self._example)
        except NotImplementedError:
            return False
        except Exception:  # a request will show the cause
            return True
        return True

    @property
    def extras(self) -> Extras:
        """A new collection for the extra inputs of one request, or None if they are rejected."""
        return {} if self._ignores else None

    def read(self, body: bytes, pick: Callable[[Any], list[Any]], ignored: Extras = None) -> Rows:
        """Decode the rows of a JSON body. `pick`: returns the rows of a document.

        Raises:
            Problem: 400, the body is not JSON. See also `decode_rows`.
        """
        return self.decode_json(lambda parse: pick(parse(body, self._json_limits)), ignored)

    def decode_json(self, read: Callable[[Parse], list[Any]], ignored: Extras = None) -> Rows:
        """Decode rows with the fast parser, or with the strict one that describes errors.

        Args:
            read: Returns the rows, parsed with the function that it is called with.
            ignored: Receives the names of extra inputs. None: they are rejected.

        Raises:
            Problem: See `decode_rows`.
        """
        try:
            rows = self.tensors.flat_rows(read(json_body.parse))
            return self.decoder(_width(rows)).decode(rows, ignored)
        except (ValueError, FallbackRequiredError):
            rows = self.tensors.flat_rows(read(json_body.parse_strict))
            return self.decoder(_width(rows)).explain(rows, ignored)

    def decode_rows(self, rows: list[Any]) -> Rows:
        """Decode rows as in JSON: lists in the order of the signature, dicts by name, or values.

        Raises:
            Problem: 422, the rows do not match the signature. 413, there are too many.
        """
        rows = self.tensors.flat_rows(rows)
        return self.decoder(_width(rows)).explain(rows)

    def table(
        self, names: Sequence[str] | None, columns: Sequence[Any], ignored: Extras = None
    ) -> Rows:
        """Decode rows from columns, which are arrays (n_rows,) or lists.

        `names` are in any order (None: in the order of the signature). `ignored` receives the names
        of extra inputs. If it is None, they are rejected.

        Raises:
            Problem: See `decode_rows`.
        """
        return tables.rows_from_columns(self.decoder(len(columns)), names, columns, ignored)

    def matrix(self, matrix: np.ndarray) -> Rows:
        """Decode rows from a matrix (n_rows, n_inputs) in the order of the signature.

        The only tensor of a model may have its own shape.

        Raises:
            Problem: See `decode_rows`.
        """
        matrix = self.tensors.flat_matrix(matrix)
        return tables.rows_from_matrix(self.decoder(matrix.shape[-1] if matrix.ndim else 0), matrix)

    def decoder(self, width: int) -> Decoder:
        """Return the decoder of rows. `width`: of rows, if the model file does not list the inputs.

        Raises:
            Problem: 422, the rows are empty. 413, they are too long.
        """
        if self.manifest.inputs:
            return self._decoder
        if not width:
            error = {"row": 0, "column": None, "expected": "at least one value", "got": "none"}
            raise validation.validation_problem([error])
        if width > MAX_INPUTS:
            raise Problem(413, f"Expected at most {MAX_INPUTS} values in a row, got {width}.")
        return UnlistedDecoder(width, self.manifest.layout, self.limits.rows_of(width))

    def methods_for(
        self, probabilities: bool = False, method: str | None = None
    ) -> tuple[str, ...]:
        """Return the methods to call for a prediction: "predict_proba" if requested, then `method`.

        `method` predicts, by default the first of `methods`.

        Raises:
            Problem: 400, the model has no probabilities.
        """
        if probabilities and "predict_proba" not in self.methods:
            raise Problem(400, "This model has no probabilities.")
        return (*(["predict_proba"] if probabilities else []), method or self.methods[0])

    def prediction(
        self, methods: tuple[str, ...], results: Mapping[str, Any]
    ) -> data_results.Prediction:
        """Return the prediction from {method: result}. `methods`: see `methods_for`.

        Raises:
            Problem: 422, the model's outputs differ in shape. 500, the probabilities do not match
                the classes.
        """
        probabilities = None
        if len(methods) > 1:
            try:
                probabilities = data_results.probabilities(results[methods[0]], self.runner.classes)
            except data_results.UnfitError as error:
                raise _log_unfit(methods[0], error) from error
        return data_results.Prediction(
            data_results.stack_outputs(results[methods[-1]]), probabilities
        )

    def predict(self, rows: list[Any], probabilities: bool = False) -> data_results.Prediction:
        """Predict rows as POST /predict does.

        `rows` are as in JSON: lists in the order of the signature, dicts by name, or values.

        Returns:
            The predictions, an array (n_rows,) or (n_rows, n_outputs), and the probabilities.

        Raises:
            Problem: The rows do not match the signature, or the model cannot predict them.
        """
        return self.predict_decoded(self.decode_rows(rows), probabilities)

    def predict_decoded(self, rows: Rows, probabilities: bool = False) -> data_results.Prediction:
        """Predict rows that `decode_rows`, `table` or `matrix` returned.

        Raises:
            Problem: See `methods_for`, `output` and `prediction`.
        """
        methods = self.methods_for(probabilities)
        return self.prediction(methods, {method: self.output(method, rows) for method in methods})

    def output(self, method: str, rows: Rows) -> Any:
        """Call one of `methods` of the model.

        Returns:
            An array (n_rows, ...), or a list of them, one for each output of the model.

        Raises:
            Problem: 422, the model rejects a row, or the result is too large. 500, the model
                failed, or did not return one prediction for each row.
        """
        result, size, max_values = self._call(method, rows), count(rows), self.limits.answer_values
        try:
            if method != self.manifest.method and data_results.is_list_of_outputs(result):
                return [data_results.require_rows(each, size, max_values) for each in result]
            output = data_results.require_rows(result, size, max_values)
        except data_results.UnfitError as error:
            raise _log_unfit(method, error) from error
        self.record_call(method, rows, output)
        return output

    def require_predictable(self, rows: Rows) -> None:
        """Call the model, without counting a prediction, so that its errors are reported.

        Raises:
            Problem: See `output`.
        """
        self._call(self.manifest.method, rows)

    def _call(self, method: str, rows: Rows) -> Any:
        try:
            with requests.measure_call(method, count(rows)):
                return estimator.contained(self.runner.call, method, rows)
        except NotImplementedError as error:
            raise Problem(400, f"This model as it was fitted does not support {method}.") from error
        except Exception as error:
            problem = self._rejection(method, rows) if validation.is_rejection(error) else None
            if problem:
                raise problem from error
            log.exception("the model failed", extra={"facts": {"id": g.request_id}})
            detail = (
                "The model failed on these rows. The log shows the cause under this request id."
            )
            raise Problem(500, detail) from error

    def _rejection(self, method: str, rows: Rows) -> Problem | None:
        """Return the problem of rows that the model rejects, or None if the model is at fault."""
        if not self.ready:
            return None
        call = partial(estimator.contained, self.runner.call, method)
        return self._rejection_search.problem(call, rows, self._example)


def _log_unfit(method: str, error: data_results.UnfitError) -> Problem:
    """Log the wrong result of a method, and return the problem."""
    log.error("the model's %s returned %s", method, error, extra={"facts": {"id": g.request_id}})
    return Problem(500, f"The model's {method} returned {error}. The model is at fault.")


def _cause(error: BaseException) -> BaseException:
    """Return the first of the errors that led to this one."""
    earlier = error.__cause__ or error.__context__
    return error if earlier is None else _cause(earlier)


def _decoder(facts: manifest.Manifest, limits: settings.Limits) -> Decoder:
    if facts.layout == "dicts":
        return DictDecoder(facts.inputs, limits.rows, facts.named)
    max_rows = limits.rows_of(len(facts.inputs))
    return Decoder(facts.inputs, facts.layout, max_rows, facts.named, facts.has_lightgbm)


def _width(rows: list[Any]) -> int:
    return len(rows[0]) if rows and isinstance(rows[0], list) else 1
