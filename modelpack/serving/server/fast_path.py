"""Plain requests answered without Flask.

Flask's routing, its request and response objects and the hooks around them take most of the time of
a small request. What a head asks for is the same each time, so it is asked of the dialects once and
kept; what is left is to read the body, to ask the model once for all that wait, and to write. A
request about which there is any doubt is Flask's: it knows the words for what is wrong.
"""

from __future__ import annotations

import logging
import math
import re
import time
from email.utils import formatdate
from typing import Any, Callable, Iterator, Mapping, NamedTuple, Sequence

from flask import Flask, Request

from .. import inference, problems
from ..data.columns import count
from ..inference import BodyParser, InferenceRequest, InferenceResponse, Route
from ..observability import metrics, requests, tracing
from ..observability.requests import TraceHeaders
from ..problems import closes
from ..security import auth
from .batching import DynamicBatch

__all__ = ["FastPath", "FastRequest", "of"]


log = logging.getLogger("modelpack.serving")

MOST_BYTES = 1 << 18
"""Of a body. A larger one takes so long to read that what goes on around it does not count."""

TURN = 4
"""How often the rows that a quick model takes may be asked for before others have their turn."""

TEXT_BYTES = 256
"""Of texts, that take as long as a row."""

NUMERIC = ("number", "integer", "boolean")
OURS = "modelpack.serving."


def of(app: Any) -> FastPath | None:
    """The desk of an application, if it is the one that its bundle was made with: where routes or
    hooks were added that look at every request, all of them are Flask's.
    """
    offers = getattr(app, "extensions", {}).get(inference.EXTENSION)
    if not offers:
        return None
    reason = _changed(app, offers)
    if reason is not None:
        log.info("every request goes through Flask: %s", reason)
        return None
    return FastPath(app, offers)


class FastPath:
    """Of `app`, which offers to be asked at `offers`, by path."""

    def __init__(self, app: Flask, offers: dict[str, Route]) -> None:
        self.service = next(iter(offers.values())).service
        most = min(MOST_BYTES, self.service.limits.body_bytes)
        self._heads = HeadCache(app, offers, most)
        self._clock = Clock()
        fields = self.service.manifest.inputs
        self._is_numeric = bool(fields) and all(field.type in NUMERIC for field in fields)

    def plain(self, raw: bytes, environ: Callable[[bytes], Environ]) -> FastRequest | None:
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
        batch = DynamicBatch(self.service, [question for _, question in asked])
        batch.ask()
        answered = [
            self._answer(job, question, results, draining)
            for (job, question), results in zip(asked, batch.results)
            if results is not None
        ]

        def tell() -> None:
            requests.record_calls(batch.calls)
            requests.record_responses([each for each in answered if each is not None])
            metrics.IN_FLIGHT.dec(len(asked))

        return tell

    def _asked(self, jobs: Sequence[Any]) -> Iterator[tuple[Any, InferenceRequest]]:
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
        self, job: Any, question: InferenceRequest, results: dict[str, Any], draining: bool
    ) -> tuple[requests.RequestRecord, int] | None:
        try:
            reply = question.reply(results)
        except Exception:  # a Problem, which Flask tells
            return None
        plain: FastRequest = job.plain
        seconds = time.monotonic() - job.queued
        seen = requests.RequestRecord("POST", plain.kind.offer.rule, seconds, plain.given)
        seen.rows = count(question.rows)
        seen.ignored = len(question.ignored or ())
        job.closes = plain.kind.closes or draining
        job.answer = response(reply, seen, self._clock.date(), closes=job.closes)
        return seen, len(reply.body)


def _question(job: Any) -> InferenceRequest | None:
    """What a job asks; None where its body is not plainly right."""
    try:
        question: InferenceRequest = job.plain.kind.read(job.body)
    except Exception:  # a Problem or a mistake, which Flask tells
        return None
    return question


def _changed(app: Flask, offers: dict[str, Route]) -> str | None:
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


# Of the headers, those that differ from one request to the next are read by themselves. A head
# that is the same without them as one that was seen before is understood by looking it up.
VARYING = re.compile(
    rb"\r\n(content-length|x-request-id|traceparent|tracestate): ?([\x21-\x7e]{1,512})(?=\r\n)",
    re.IGNORECASE,
)
LENGTH = re.compile(rb"[0-9]{1,9}")
NONE = TraceHeaders()
MOST_HEADS = 512
MOST_HEAD_BYTES = 4096

Environ = Mapping[str, Any]


class Kind(NamedTuple):
    """What all heads ask for that differ only in ids and lengths. `closes`: the connection."""

    offer: Route
    read: BodyParser
    closes: bool


class FastRequest(NamedTuple):
    """The head of a plain request. `length`: of its body, in bytes."""

    kind: Kind
    length: int
    given: TraceHeaders


class HeadCache:
    """Of requests to `offers`, a table by path, of `app`. `most`: bytes of a body."""

    def __init__(self, app: Flask, offers: Mapping[str, Route], most: int) -> None:
        self._app = app
        self._offers = offers
        self._most = most
        self._plain: dict[bytes, FastRequest] = {}
        self._kinds: dict[bytes, Kind | None] = {}

    def plain(self, raw: bytes, environ: Callable[[bytes], Environ]) -> FastRequest | None:
        """What a head asks for; None if it is not plain. `environ`: from a head to its WSGI
        environ, if it is sound.
        """
        plain = self._plain.get(raw)
        if plain is None and len(raw) <= MOST_HEAD_BYTES:
            plain = self._read(raw, environ)
            if plain is not None and plain.given == NONE:
                _keep(self._plain, raw, plain)
        return plain

    def _read(self, raw: bytes, environ: Callable[[bytes], Environ]) -> FastRequest | None:
        found = [(name.lower(), value) for name, value in VARYING.findall(raw)]
        told = dict(found)
        length = told.get(b"content-length", b"")
        if len(told) < len(found) or not LENGTH.fullmatch(length) or int(length) > self._most:
            return None
        key = VARYING.sub(b"", raw)
        if key not in self._kinds:
            _keep(self._kinds, key, self._kind(raw, environ))
        kind = self._kinds[key]
        if kind is None:
            return None
        ids = (told.get(name) for name in (b"x-request-id", b"traceparent", b"tracestate"))
        given = (None if value is None else value.decode("ascii") for value in ids)
        return FastRequest(kind, int(length), TraceHeaders(*given))

    def _kind(self, raw: bytes, environ: Callable[[bytes], Environ]) -> Kind | None:
        """Whatever is unusual here is nothing for this path, and no mistake of ours."""
        try:
            made = environ(raw)
            offer = self._offers.get(made["PATH_INFO"])
            if offer is None or not _is_plain(made) or not auth.passes(self._app, made):
                return None
            ends = closes(made.get("HTTP_CONNECTION", ""), newer=True)
            return Kind(offer, offer.ask(Request(dict(made))), ends)
        except Exception:
            return None


def _is_plain(environ: Environ) -> bool:
    """Whether a request of this head is POSTed as most are."""
    return (
        environ["REQUEST_METHOD"] == "POST"
        and environ["SERVER_PROTOCOL"] == "HTTP/1.1"
        and not environ.get("SCRIPT_NAME")
        and not {"HTTP_EXPECT", "HTTP_CONTENT_ENCODING", "HTTP_TRANSFER_ENCODING"} & environ.keys()
    )


def _keep(known: dict[bytes, Any], key: bytes, value: Any) -> None:
    """No more than so many: clients may send a new one each time."""
    if len(known) >= MOST_HEADS:
        known.clear()
    known[key] = value


SECURITY = "".join(f"{name}: {value}\r\n" for name, value in problems.SECURITY)


class Clock:
    """The value of `Date`, made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._date = ""

    def date(self) -> str:
        second = int(time.time())
        if second != self._second:
            self._second, self._date = second, formatdate(second, usegmt=True)
        return self._date


def response(
    reply: InferenceResponse, seen: requests.RequestRecord, date: str, *, closes: bool
) -> bytes:
    """A whole response of status 200."""
    own = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
    ids = "".join(f"{name}: {value}\r\n" for name, value in requests.ids(seen))
    head = (
        f"HTTP/1.1 200 OK\r\nDate: {date}\r\nConnection: {'close' if closes else 'keep-alive'}\r\n"
        f"{own}Content-Type: {reply.content_type}\r\nContent-Length: {len(reply.body)}\r\n"
        f"{SECURITY}{ids}\r\n"
    )
    return head.encode("latin-1") + reply.body
