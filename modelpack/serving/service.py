"""A bundle's model, loaded and ready to answer."""

from __future__ import annotations

import gc
import logging
import os
import time
from functools import partial
from pathlib import Path
from typing import Any, Callable

from flask import Request, g

from . import answers, limits, loading, manifest, refusals, runners, wire
from .columns import DoubtError, Rows
from .dicts import DictDecoder
from .problems import Problem
from .rows import Decoder, unnamed

log = logging.getLogger("modelpack.serving")


class Service:
    """What the dialects speak for. `ready`: the model has answered its own example."""

    def __init__(self, facts: manifest.Manifest, model: Any, limit: limits.Limits) -> None:
        self.manifest = facts
        self.limits = limit
        self.runner = runners.choose(model, facts)
        self.ready = False
        self._example: Rows | None = None  # that the model has answered
        self._decoder = _decoder(facts, limit)

    @classmethod
    def open(cls, directory: str | os.PathLike[str]) -> Service:
        """The service of the bundle in `directory`.

        Raises:
            CannotStartError: something of the bundle is missing or not as it was packaged.
        """
        folder = Path(directory)
        facts = manifest.read(folder)
        limit = limits.from_environment(os.environ)
        started = time.perf_counter()
        service = cls(facts, loading.load(folder, facts), limit)
        service.warm_up()
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
                self.runner.call(self.manifest.method, example)
                self._example = example
            self.ready = True
        except Exception:
            log.exception("the model does not answer its own example")

    def read(self, request: Request, pick: Callable[[Any], list[Any]]) -> Rows:
        """The rows in the JSON of `request`; `pick` takes them out of the document.

        Raises:
            Problem: there is no JSON, or the rows do not fit the signature.
        """
        body = wire.read_json_body(request, self.limits.body_bytes)
        try:
            rows = pick(wire.parse(body, self.limits))
            return self.decoder(rows).decode(rows)
        except (ValueError, DoubtError):
            rows = pick(wire.parse_exactly(body, self.limits))
            return self.decoder(rows).explain(rows)

    def decoder(self, rows: list[Any]) -> Decoder:
        if self.manifest.inputs:
            return self._decoder
        return Decoder(unnamed(rows), self.manifest.layout, self.limits.rows)

    def predict(self, rows: Rows) -> list[Any]:
        """One JSON value a row: a label, a number, or a list of them."""
        result = self._call(self.manifest.method, rows)
        return answers.values(result, self.limits.answer_values)

    def probabilities(self, rows: Rows) -> list[Any]:
        """One {label: probability} a row.

        Raises:
            Problem: 400 the model gives none.
        """
        if not (self.manifest.probabilities and self.runner.can("predict_proba")):
            raise Problem(400, "This model gives no probabilities.")
        return answers.probabilities(self._call("predict_proba", rows), self.runner.classes)

    def _call(self, method: str, rows: Rows) -> Any:
        try:
            return self.runner.call(method, rows)
        except Exception as error:
            refusal = self._refusal(method, rows) if isinstance(error, ValueError) else None
            if refusal:
                raise refusal from error
            log.exception("the model failed", extra={"facts": {"id": g.request_id}})
            detail = "The model failed on these rows. The log tells why under this request id."
            raise Problem(500, detail) from error

    def _refusal(self, method: str, rows: Rows) -> Problem | None:
        """What the sender is told of rows that a sound model refuses."""
        if not self.ready:
            return None
        ask = partial(self.runner.call, method)
        return refusals.problem(ask, rows, self.manifest.inputs, self._example)


def _decoder(facts: manifest.Manifest, limit: limits.Limits) -> Decoder:
    if facts.layout == "dicts":
        return DictDecoder(facts.inputs, limit.rows)
    return Decoder(facts.inputs, facts.layout, limit.rows_of(len(facts.inputs)))
