"""Common requests answered without Flask.

Flask's routing, request objects and hooks take most of the time of a small request. The head of a
request is the same each time, so the protocol parses it once and the result is cached. What is
left is to parse the body, to call the model once for all waiting requests, and to write the
responses. Every doubtful request goes to Flask, which describes the error.
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
from ..observability.requests import RequestRecord, TraceHeaders
from ..problems import is_closing
from ..security import auth
from .batching import DynamicBatch

log = logging.getLogger("modelpack.serving")

MAX_BODY_BYTES = 1 << 18
"""Larger bodies take so long to parse that the time of Flask does not count."""

TURN = 4
"""How many times the number of fast rows is predicted before other connections have their turn."""

GUESSED_BYTES = 4096
"""Bytes at the start of a body that show how long its rows are."""
TEXT_BYTES = 256
"""Bytes of text that take as long to predict as a row of numbers."""

NUMERIC = ("number", "integer", "boolean")
OUR_MODULES = "modelpack.serving."

Environ = Mapping[str, Any]
EnvironParser = Callable[[bytes], Environ]
"""Returns the WSGI environ of a head, or raises if the head is malformed."""


class FastPath:
    """The inference routes of a Flask application, without Flask."""

    def __init__(self, app: Flask, routes: dict[str, Route]) -> None:
        """`routes`: by path, as `inference.register_route` stores them."""
        self.service = next(iter(routes.values())).service
        max_bytes = min(MAX_BODY_BYTES, self.service.limits.body_bytes)
        self._heads = HeadCache(app, routes, max_bytes)
        self._clock = Clock()
        fields = self.service.manifest.inputs
        headers = problems.security_headers()
        self._security_lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        self._is_numeric = bool(fields) and all(field.type in NUMERIC for field in fields)

    @classmethod
    def for_app(cls, app: Any) -> FastPath | None:
        """Return the fast path of an application.

        It is None if the author changed the routes, or added hooks, which must see all requests.
        """
        routes = getattr(app, "extensions", {}).get(inference.EXTENSION)
        if not routes:
            return None
        reason = _change_of_app(app, routes)
        if reason is not None:
            log.info("every request goes through Flask: %s", reason)
            return None
        return cls(app, routes)

    def match(self, raw: bytes, parse_environ: EnvironParser) -> FastRequest | None:
        """Return the parsed head of a request, or None if the request goes to Flask."""
        if tracing.Tracing.tracer is not None or not self.service.ready:
            return None
        return self._heads.match(raw, parse_environ)

    @property
    def merges(self) -> bool:
        """Whether one call of the model can answer several requests."""
        return self.service.runner.can_batch

    @property
    def is_fast(self) -> bool:
        """Whether the model predicts a few rows faster than a thread could be woken for them."""
        return self.service.runner.quick_rows > 0

    def handle(
        self, jobs: Sequence[Any], *, draining: bool, only_fast: bool = False
    ) -> Callable[[], None]:
        """Fill in the responses of jobs whose heads matched.

        Jobs that stay without a response are doubtful, and go to Flask. With `only_fast`, jobs with
        more rows than the model predicts fast stay without a response, too.

        Returns:
            A function that counts and logs the requests, to be called after the responses are sent.
        """
        accepted = list(self._accepted(jobs, only_fast=only_fast))
        metrics.IN_FLIGHT.inc(len(accepted))
        batch = DynamicBatch(self.service, [request for _, request in accepted])
        batch.run()
        answered = [
            self._respond(job, request, results, draining)
            for (job, request), results in zip(accepted, batch.results)
            if results is not None
        ]

        def record() -> None:
            requests.record_calls(batch.calls)
            requests.record_responses([each for each in answered if each is not None])
            for method, rows, result in batch.predicted:
                self.service.record_call(method, rows, result)
            if self.service.prediction_log is not None:
                self._log_predictions(accepted, batch, answered)
            metrics.IN_FLIGHT.dec(len(accepted))

        return record

    def _log_predictions(
        self,
        accepted: Sequence[tuple[Any, InferenceRequest]],
        batch: DynamicBatch,
        answered: Sequence[tuple[RequestRecord, int] | None],
    ) -> None:
        pairs = [pair for pair in zip(accepted, batch.results) if pair[1] is not None]
        for ((_, request), results), response in zip(pairs, answered):
            if response is not None and results is not None:
                self.service.record_response(response[0].id, request.rows, results)

    def _accepted(
        self, jobs: Sequence[Any], *, only_fast: bool
    ) -> Iterator[tuple[Any, InferenceRequest]]:
        """Yield the jobs that can be answered without Flask, with their parsed bodies."""
        fast_rows = self.service.runner.quick_rows
        most, left = (fast_rows, TURN * fast_rows) if only_fast else (math.inf, math.inf)
        for job in jobs:
            if _guess_rows(job.body) > most:
                continue  # the thread parses it
            request = _parse_body(job)
            if request is None:
                continue
            size = count(request.rows)
            if not self._is_numeric:
                size = max(size, len(job.body) // TEXT_BYTES)
            if size <= min(most, left):
                left -= size
                yield job, request

    def _respond(
        self, job: Any, request: InferenceRequest, results: dict[str, Any], draining: bool
    ) -> tuple[RequestRecord, int] | None:
        try:
            response = request.response(results)
        except Exception:  # Flask describes the error
            return None
        fast: FastRequest = job.fast
        seconds = time.monotonic() - job.queued
        record = RequestRecord("POST", fast.kind.route.rule, seconds, fast.headers)
        record.rows = count(request.rows)
        record.ignored = len(request.ignored or ())
        job.closes = job.closes or fast.kind.closes or draining
        job.response = _http_response(
            response, record, self._clock.date(), self._security_lines, closes=job.closes
        )
        return record, len(response.body)


def _parse_body(job: Any) -> InferenceRequest | None:
    try:
        request: InferenceRequest = job.fast.kind.parse(job.body)
    except Exception:  # Flask describes the error
        return None
    return request


def _guess_rows(body: bytes) -> float:
    """Guess the number of rows of a body from its first bytes. A wrong guess costs only time.

    One list or object is around the rows.
    """
    first = body[:GUESSED_BYTES]
    brackets = max(first.count(b"["), first.count(b"{")) - 1
    return brackets * len(body) / max(1, len(first))


def _change_of_app(app: Flask, routes: dict[str, Route]) -> str | None:
    """Return why an application needs all of its requests, or None."""
    hooks: list[Any] = [
        app.before_request_funcs,
        app.after_request_funcs,
        app.teardown_request_funcs,
    ]
    functions = [each for table in hooks for some in table.values() for each in some]
    if any(not str(each.__module__).startswith(OUR_MODULES) for each in functions):
        return "it has hooks of its own"
    if type(app) is not Flask or "wsgi_app" in app.__dict__:
        return "it is wrapped"
    adapter = app.url_map.bind("localhost")
    for path, route in routes.items():
        endpoint, _ = adapter.match(path, "POST")
        module = str(getattr(app.view_functions.get(endpoint), "__module__", ""))
        if endpoint != route.endpoint or not module.startswith(OUR_MODULES):
            return f"{route.rule} is another route"
    return None


# Headers that differ between requests. Heads that are equal without them are parsed once.
VARYING = re.compile(
    rb"\r\n(content-length|x-request-id|traceparent|tracestate): ?([\x21-\x7e]{1,512})(?=\r\n)",
    re.IGNORECASE,
)
LENGTH = re.compile(rb"[0-9]{1,9}")
NO_HEADERS = TraceHeaders()
MAX_HEADS = 512
MAX_HEAD_BYTES = 4096


class HeadKind(NamedTuple):
    """What heads have in common that differ only in lengths and ids."""

    route: Route
    parse: BodyParser
    closes: bool


class FastRequest(NamedTuple):
    """The head of a request that is answered without Flask, with the bytes of its body."""

    kind: HeadKind
    length: int
    headers: TraceHeaders


class HeadCache:
    """The heads that were parsed before."""

    def __init__(self, app: Flask, routes: Mapping[str, Route], max_bytes: int) -> None:
        """`max_bytes`: of a body."""
        self._app = app
        self._routes = routes
        self._max_bytes = max_bytes
        self._requests: dict[bytes, FastRequest] = {}
        self._kinds: dict[bytes, HeadKind | None] = {}

    def match(self, raw: bytes, parse_environ: EnvironParser) -> FastRequest | None:
        """Return the parsed head of a request, or None if the request goes to Flask."""
        request = self._requests.get(raw)
        if request is None and len(raw) <= MAX_HEAD_BYTES:
            request = self._parse(raw, parse_environ)
            if request is not None and request.headers == NO_HEADERS:
                _store(self._requests, raw, request)
        return request

    def _parse(self, raw: bytes, parse_environ: EnvironParser) -> FastRequest | None:
        pairs = [(name.lower(), value) for name, value in VARYING.findall(raw)]
        fields = dict(pairs)
        length = fields.get(b"content-length", b"")
        if len(fields) < len(pairs) or not LENGTH.fullmatch(length):
            return None
        if int(length) > self._max_bytes:
            return None
        key = VARYING.sub(b"", raw)
        if key not in self._kinds:
            _store(self._kinds, key, self._parse_kind(raw, parse_environ))
        kind = self._kinds[key]
        if kind is None:
            return None
        values = (fields.get(name) for name in (b"x-request-id", b"traceparent", b"tracestate"))
        headers = (None if value is None else value.decode("ascii") for value in values)
        return FastRequest(kind, int(length), TraceHeaders(*headers))

    def _parse_kind(self, raw: bytes, parse_environ: EnvironParser) -> HeadKind | None:
        try:
            environ = parse_environ(raw)
            route = self._routes.get(environ["PATH_INFO"])
            if (
                route is None
                or not _is_common(environ)
                or not auth.is_authorized(self._app, environ)
            ):
                return None
            closes = is_closing(environ.get("HTTP_CONNECTION", ""), newer=True)
            return HeadKind(route, route.parse(Request(dict(environ))), closes)
        except Exception:  # Flask describes the error
            return None


RARE = {
    "HTTP_CONTENT_ENCODING",
    "HTTP_EXPECT",
    "HTTP_TRANSFER_ENCODING",
    requests.CUSTOM_ATTRIBUTES,
}
"""Headers that only Flask and gunicorn support."""


def _is_common(environ: Environ) -> bool:
    """Return whether a head has none of the features that only Flask and gunicorn support."""
    return (
        environ["REQUEST_METHOD"] == "POST"
        and environ["SERVER_PROTOCOL"] == "HTTP/1.1"
        and not environ.get("SCRIPT_NAME")
        and not RARE & environ.keys()
    )


def _store(cache: dict[bytes, Any], key: bytes, value: Any) -> None:
    """Add an entry to a cache of bounded size: clients may send a new head each time."""
    if len(cache) >= MAX_HEADS:
        cache.clear()
    cache[key] = value


class Clock:
    """The value of the `Date` header, formatted once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._date = ""

    def date(self) -> str:
        """Return the current value."""
        second = int(time.time())
        if second != self._second:
            self._second, self._date = second, formatdate(second, usegmt=True)
        return self._date


def _http_response(
    response: InferenceResponse,
    record: RequestRecord,
    date: str,
    security_lines: str,
    *,
    closes: bool,
) -> bytes:
    """Return a complete response with status 200."""
    headers = "".join(f"{name}: {value}\r\n" for name, value in response.headers.items())
    ids = "".join(f"{name}: {value}\r\n" for name, value in requests.id_headers(record))
    head = (
        f"HTTP/1.1 200 OK\r\nDate: {date}\r\nConnection: {'close' if closes else 'keep-alive'}\r\n"
        f"{headers}Content-Type: {response.content_type}\r\n"
        f"Content-Length: {len(response.body)}\r\n{security_lines}{ids}\r\n"
    )
    return head.encode("latin-1") + response.body
