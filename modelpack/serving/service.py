"""A bundle's model, loaded and ready to answer."""

from __future__ import annotations

import gc
import logging
import os
import time
from functools import partial
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

import numpy as np
from flask import g

from . import loading, manifest, memory, runtimes, settings
from .data import extra_inputs, json_body, tables, validation
from .data import results as data_results
from .data.columns import FallbackRequiredError, Rows, count
from .data.extra_inputs import Extras
from .data.rows import Decoder, DictDecoder, unnamed_fields
from .observability import logs, requests
from .problems import Problem
from .runtimes import estimator, trials
from .security import auth

log = logging.getLogger("modelpack.serving")

MAX_INPUTS = 100_000
"""Of a model whose file does not tell them: each costs more memory than the value that is sent."""

Parse = Callable[[bytes, settings.Limits], Any]

PLANS = "MODELPACK_PLANS"
"""0: no compiled plans, the estimator itself."""

METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform")


class Service:
    """What the dialects speak for. `ready`: the model has answered its own example."""

    def __init__(self, facts: manifest.Manifest, model: Any, limit: settings.Limits) -> None:
        self.manifest = facts
        self.limits = limit
        self.runner = runtimes.select_runtime(model, facts)
        self.name = settings.name(os.environ)
        """Of the model in URLs."""
        self.version = settings.version(os.environ)
        self.ready = False
        self._example: Rows | None = None  # that the model has answered
        self._decoder = _decoder(facts, limit)
        self._refusals = validation.RejectionSearch(facts.inputs)
        self._ignores = extra_inputs.are_ignored(os.environ)
        self._plans = settings.flag(os.environ, PLANS, "1")
        self._methods: tuple[str, ...] | None = None

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
        settings.from_environment(os.environ)  # reports a malformed setting before the load
        started = time.perf_counter()
        gc.disable()  # what is imported and loaded is no garbage
        try:
            model = loading.load(folder, facts)
            service = cls(facts, model, memory.current(os.environ))
            service.warm_up()
        finally:
            gc.enable()
        seconds = round(time.perf_counter() - started, 3)
        log.info("the model is loaded", extra={"facts": {"ready": service.ready, "s": seconds}})
        gc.collect()
        gc.freeze()  # so that collections in the workers leave the pages that they share alone
        return service

    def warm_up(self) -> None:
        """Become ready by answering the model's own example, where one is known."""
        try:
            if self.manifest.example is not None:
                example = self._decoder.explain([self.manifest.example])
                result = estimator.contained(self.runner.call, self.manifest.method, example)
                data_results.require_rows(result, count(example), self.limits.answer_values)
                self._example = example
            self._choose()
            self.ready = True
        except Exception:
            log.exception("the model does not answer its own example")

    def _choose(self) -> None:
        """Find out how the model can be asked faster than it asks itself, with the same answers."""
        decode = self._decoder.explain
        if self._plans:
            self.runner = runtimes.select_plan(self.runner, self.manifest, decode)
        if not self.runner.can_batch:
            told = (self.runner, self.manifest, self.methods, decode)
            self.runner.can_batch = trials.can_batch(*told)

    def require_ready(self) -> None:
        """Raises:
        Problem: 503 the model has not answered its own example.
        """
        if not self.ready:
            raise Problem(503, "The model does not answer its own example. The log tells why.")

    @property
    def methods(self) -> tuple[str, ...]:
        """What can be asked for: `predict` or `transform` first, then what else the model has."""
        if self._methods is None:
            others = [method for method in METHODS if self.runner.has_method(method)]
            if not self.manifest.probabilities:
                others = [method for method in others if not method.startswith("predict_")]
            others = [method for method in others if self._has(method)]
            self._methods = tuple(dict.fromkeys([self.manifest.method, *others]))
        return self._methods

    def _has(self, method: str) -> bool:
        """Whether the model has a method as it was fitted: LinearDiscriminantAnalysis has a
        `transform` that some solvers do not support.
        """
        if self._example is None or method == self.manifest.method:
            return True
        try:
            estimator.contained(self.runner.call, method, self._example)
        except NotImplementedError:
            return False
        except Exception:  # a request will show what it is
            return True
        return True

    @property
    def extras(self) -> Extras:
        """Where the names of the inputs of one request that the model does not have are noted."""
        return {} if self._ignores else None

    def read(self, body: bytes, pick: Callable[[Any], list[Any]], ignored: Extras = None) -> Rows:
        """The rows in a body of JSON; `pick` takes them out of the document.

        Raises:
            Problem: 400 it is no JSON; else as `rows`.
        """
        return self.decode_json(lambda parse: pick(parse(body, self.limits)), ignored)

    def decode_json(self, read: Callable[[Parse], list[Any]], ignored: Extras = None) -> Rows:
        """The rows that `read` makes of JSON by the function it is given: the fast one, and the
        exact one where that has doubts.

        Raises:
            Problem: as `rows`.
        """
        try:
            rows = read(json_body.parse)
            return self.decoder(_width(rows)).decode(rows, ignored)
        except (ValueError, FallbackRequiredError):
            rows = read(json_body.parse_strict)
            return self.decoder(_width(rows)).explain(rows, ignored)

    def decode_rows(self, rows: list[Any]) -> Rows:
        """Rows as JSON has them: lists in the order of the signature, objects by name, or values.

        Raises:
            Problem: 422 they do not fit the signature, 413 there are too many.
        """
        return self.decoder(_width(rows)).explain(rows)

    def table(
        self, names: Sequence[str] | None, columns: Sequence[Any], ignored: Extras = None
    ) -> Rows:
        """Rows that came as columns: arrays (n_rows,) or lists. `names`: of the columns, in any
        order; None: they are in the order of the signature.

        Raises:
            Problem: as `rows`.
        """
        return tables.rows_from_columns(self.decoder(len(columns)), names, columns, ignored)

    def matrix(self, matrix: np.ndarray) -> Rows:
        """Rows of a matrix (n_rows, n_inputs), in the order of the signature.

        Raises:
            Problem: as `rows`.
        """
        return tables.rows_from_matrix(self.decoder(matrix.shape[-1] if matrix.ndim else 0), matrix)

    def decoder(self, width: int) -> Decoder:
        """The decoder of rows; for a model whose file does not tell its inputs, of `width`.

        Raises:
            Problem: 422 no model takes rows of so few values, 413 that is more than any takes.
        """
        if self.manifest.inputs:
            return self._decoder
        if not width:
            error = {"row": 0, "column": None, "expected": "at least one value", "got": "none"}
            raise validation.validation_problem([error])
        if width > MAX_INPUTS:
            raise Problem(413, f"Rows of {width} values came; a row takes {MAX_INPUTS}.")
        fields = unnamed_fields(width)
        return Decoder(fields, self.manifest.layout, self.limits.rows_of(width), named=False)

    def methods_for(
        self, probabilities: bool = False, method: str | None = None
    ) -> tuple[str, ...]:
        """The methods that give an answer: last the one that predicts, the first of `methods` if
        none is named. Before it that of probabilities, if they are wanted: of two problems, it is
        theirs that is told.

        Raises:
            Problem: 400 the model gives no probabilities.
        """
        if probabilities and "predict_proba" not in self.methods:
            raise Problem(400, "This model gives no probabilities.")
        return (*(["predict_proba"] if probabilities else []), method or self.methods[0])

    def prediction(
        self, asked: tuple[str, ...], results: Mapping[str, Any]
    ) -> data_results.Prediction:
        """The answer that the results of the methods `asked` make.

        Raises:
            Problem: 422 the model's outputs differ in shape; 500 the probabilities do not fit the
                classes.
        """
        *also, method = asked
        try:
            given = [
                data_results.probabilities(results[each], self.runner.classes) for each in also
            ]
        except data_results.UnfitError as error:
            raise _log_unfit(also[0], error) from error
        return data_results.Prediction(
            data_results.stack_outputs(results[method]), given[0] if given else None
        )

    def predict(self, rows: list[Any], probabilities: bool = False) -> data_results.Prediction:
        """Return what POST /predict returns for rows.

        Args:
            rows: As in JSON: lists in the order of the signature, dicts by name, or values.
            probabilities: Whether to return the probability of each class, too.

        Raises:
            Problem: The rows do not match the signature, or the model cannot predict them.
        """
        return self.predict_decoded(self.decode_rows(rows), probabilities)

    def predict_decoded(self, rows: Rows, probabilities: bool = False) -> data_results.Prediction:
        """What the model predicts for rows, and the probabilities if asked for.

        Raises:
            Problem: as `asked`, `output` and `told`.
        """
        asked = self.methods_for(probabilities)
        return self.prediction(asked, {method: self.output(method, rows) for method in asked})

    def output(self, method: str, rows: Rows) -> Any:
        """What one of `methods` gives: an array (n_rows, ...), or where the model has several
        outputs, for predict_proba and its like a list of such.

        Raises:
            Problem: 422 the model refuses a row, or the answer is too large; 500 the model failed,
                or did not return one answer for each row.
        """
        result, size, most = self._call(method, rows), count(rows), self.limits.answer_values
        try:
            if method != self.manifest.method and data_results.is_list_of_outputs(result):
                return [data_results.require_rows(each, size, most) for each in result]
            return data_results.require_rows(result, size, most)
        except data_results.UnfitError as error:
            raise _log_unfit(method, error) from error

    def _call(self, method: str, rows: Rows) -> Any:
        try:
            with requests.measure_call(method, count(rows)):
                return estimator.contained(self.runner.call, method, rows)
        except NotImplementedError as error:
            raise Problem(400, f"This model as it was fitted does not support {method}.") from error
        except Exception as error:
            refusal = self._refusal(method, rows) if validation.is_rejection(error) else None
            if refusal:
                raise refusal from error
            log.exception("the model failed", extra={"facts": {"id": g.request_id}})
            detail = "The model failed on these rows. The log tells why under this request id."
            raise Problem(500, detail) from error

    def _refusal(self, method: str, rows: Rows) -> Problem | None:
        """What the sender is told of rows that a sound model refuses."""
        if not self.ready:
            return None
        ask = partial(estimator.contained, self.runner.call, method)
        return self._refusals.problem(ask, rows, self._example)


def _log_unfit(method: str, error: data_results.UnfitError) -> Problem:
    """Log what the model returned, and return what the client gets."""
    log.error("the model's %s returned %s", method, error, extra={"facts": {"id": g.request_id}})
    return Problem(500, f"The model's {method} returned {error}. The model is at fault.")


def _decoder(facts: manifest.Manifest, limit: settings.Limits) -> Decoder:
    if facts.layout == "dicts":
        return DictDecoder(facts.inputs, limit.rows, facts.named)
    most = limit.rows_of(len(facts.inputs))
    return Decoder(facts.inputs, facts.layout, most, facts.named)


def _width(rows: list[Any]) -> int:
    return len(rows[0]) if rows and isinstance(rows[0], list) else 1
