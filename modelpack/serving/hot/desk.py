"""Where plain requests are answered."""

from __future__ import annotations

import logging
import math
import time
from typing import Any, Callable, Iterator, Sequence

from flask import Flask

from .. import metrics, observe, questions, tracing
from ..columns import count
from ..questions import Offer, Question
from .heads import Environ, Heads, Plain
from .together import Batch
from .writing import Clock, response

log = logging.getLogger("modelpack.serving")

MOST_BYTES = 1 << 18
"""Of a body. A larger one takes so long to read that what goes on around it does not count."""

TURN = 4
"""How often the rows that a quick model takes may be asked for before others have their turn."""

TEXT_BYTES = 256
"""Of texts, that take as long as a row."""

NUMERIC = ("number", "integer", "boolean")
OURS = "modelpack.serving."


def of(app: Any) -> Desk | None:
    """The desk of an application, if it is the one that its bundle was made with: where routes or
    hooks were added that look at every request, all of them are Flask's.
    """
    offers = getattr(app, "extensions", {}).get(questions.EXTENSION)
    if not offers:
        return None
    reason = _changed(app, offers)
    if reason is not None:
        log.info("every request goes through Flask: %s", reason)
        return None
    return Desk(app, offers)


class Desk:
    """Of `app`, which offers to be asked at `offers`, by path."""

    def __init__(self, app: Flask, offers: dict[str, Offer]) -> None:
        self.service = next(iter(offers.values())).service
        most = min(MOST_BYTES, self.service.limits.body_bytes)
        self._heads = Heads(app, offers, most)
        self._clock = Clock()
        fields = self.service.manifest.inputs
        self._is_numeric = bool(fields) and all(field.type in NUMERIC for field in fields)

    def plain(self, raw: bytes, environ: Callable[[bytes], Environ]) -> Plain | None:
        """What a head asks for, if it can be answered here. `environ`: as in `Heads.plain`."""
        if tracing.Tracing.tracer is not None or not self.service.ready:
            return None
        return self._heads.plain(raw, environ)

    @property
    def merges(self) -> bool:
        """Whether several requests can be answered by one call of the model."""
        return self.service.runner.merges

    @property
    def is_quick(self) -> bool:
        """Whether the model answers some rows in no time: then nothing is won by a thread."""
        return self.service.runner.quick_rows > 0

    def answer(self, jobs: Sequence[Any], *, draining: bool) -> Callable[[], None]:
        """Fill in what is answered to jobs with plain heads. Those without an answer are Flask's:
        also, where the model is quick, if it would not be for so many rows.

        What is given back counts and logs them, which clients need not wait for.
        """
        asked = list(self._asked(jobs))
        metrics.IN_FLIGHT.inc(len(asked))
        batch = Batch(self.service, [question for _, question in asked])
        batch.ask()
        answered = [
            self._answer(job, question, results, draining)
            for (job, question), results in zip(asked, batch.results)
            if results is not None
        ]

        def tell() -> None:
            observe.called(batch.calls)
            observe.all_told([each for each in answered if each is not None])
            metrics.IN_FLIGHT.dec(len(asked))

        return tell

    def _asked(self, jobs: Sequence[Any]) -> Iterator[tuple[Any, Question]]:
        """Those that can be answered here, with what they ask."""
        quick = self.service.runner.quick_rows
        most, left = (quick, TURN * quick) if quick else (math.inf, math.inf)
        for job in jobs:
            question = _question(job)
            if question is None:
                continue
            size = count(question.rows)
            if not self._is_numeric:
                size = max(size, len(job.body) // TEXT_BYTES)
            if size <= min(most, left):
                left -= size
                yield job, question

    def _answer(
        self, job: Any, question: Question, results: dict[str, Any], draining: bool
    ) -> tuple[observe.Seen, int] | None:
        try:
            reply = question.reply(results)
        except Exception:  # a Problem, which Flask tells
            return None
        plain: Plain = job.plain
        seconds = time.monotonic() - job.queued
        seen = observe.Seen("POST", plain.kind.offer.rule, seconds, plain.given)
        seen.rows = count(question.rows)
        seen.ignored = len(question.ignored or ())
        job.closes = plain.kind.closes or draining
        job.answer = response(reply, seen, self._clock.date(), closes=job.closes)
        return seen, len(reply.body)


def _question(job: Any) -> Question | None:
    """What a job asks; None where its body is not plainly right."""
    try:
        question: Question = job.plain.kind.read(job.body)
    except Exception:  # a Problem or a mistake, which Flask tells
        return None
    return question


def _changed(app: Flask, offers: dict[str, Offer]) -> str | None:
    """What in an application keeps its requests from being answered anywhere else."""
    hooks: list[Any] = [
        app.before_request_funcs,
        app.after_request_funcs,
        app.teardown_request_funcs,
    ]
    found = [each for table in hooks for functions in table.values() for each in functions]
    strange = [each for each in found if not str(each.__module__).startswith(OURS)]
    if strange:
        return "it has hooks of its own"
    if type(app) is not Flask or "wsgi_app" in app.__dict__:
        return "it is wrapped"
    routes = app.url_map.bind("localhost")
    for path, offer in offers.items():
        endpoint, _ = routes.match(path, "POST")
        view = app.view_functions.get(endpoint)
        if endpoint != offer.endpoint or not str(getattr(view, "__module__", "")).startswith(OURS):
            return f"{offer.rule} is not the route that it was"
    return None
