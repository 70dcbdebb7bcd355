"""The gRPC server of a worker."""

from __future__ import annotations

import logging
import os
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Callable, Iterator, Mapping

import grpc
import orjson

from .. import settings
from ..data.extra_inputs import HEADER as IGNORED
from ..errors import StartupError
from ..problems import Problem
from ..protocols.v2.requests import BINARY, LENGTH_HEADER
from ..settings import Limits
from . import health, translation
from .bridge import Bridge, Header, Reply
from .health import MAX_WATCHERS, Watcher, Watchers
from .messages import CLASSES, DecodeError
from .wire import require_fitting

log = logging.getLogger("modelpack.serving")

SERVICE = "inference.GRPCInferenceService"
WATCHED = ("", SERVICE, health.NAME)
"""The services whose health is that of the model."""

CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    404: grpc.StatusCode.NOT_FOUND,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    414: grpc.StatusCode.INVALID_ARGUMENT,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    431: grpc.StatusCode.RESOURCE_EXHAUSTED,
    500: grpc.StatusCode.INTERNAL,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
"""Status of HTTP -> code of gRPC."""

FORWARDED = ("authorization", "x-request-id", "traceparent", "tracestate")
"""The metadata of calls that become headers."""
RETURNED = ("x-request-id", "traceresponse", "retry-after", IGNORED.lower())
"""The headers of responses that become metadata."""
VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,4094}[\x21-\x7e])?")
MAX_DETAIL = 1000
INFER_THREADS, OTHER_THREADS = 16, 4
"""Other calls have threads of their own, so that predictions do not delay the health check."""

Call = Callable[[Any, "Caller"], Any]


class Caller:
    """The context of a call, and its requests to the event loop."""

    def __init__(self, bridge: Bridge, context: Any, seconds: float) -> None:
        self._bridge = bridge
        self._context = context
        self._seconds = seconds

    def request(
        self, method: str, path: str, headers: tuple[Header, ...] = (), body: bytes = b""
    ) -> Reply:
        """Return the response to a request with the metadata of the call.

        Raises:
            Problem: 400, the metadata are malformed. 503, the event loop does not answer.
        """
        reply = self._bridge.request(
            method,
            path,
            (*headers, *self._forwarded()),
            body,
            seconds=self._seconds,
            watch=self._context.add_callback,
        )
        returned = [(name, reply.headers[name]) for name in RETURNED if name in reply.headers]
        self._context.set_trailing_metadata(returned)
        return reply

    def document(self, path: str) -> Any:
        """Return the document at a path. Raise the problem of any status but 200."""
        reply = self.request("GET", path)
        if reply.status != 200:
            raise reply.problem()
        return orjson.loads(reply.body)

    def is_ready(self, path: str) -> bool:
        """Return whether the status at a path is 200, and not 503. Raise other problems."""
        reply = self.request("GET", path)
        if reply.status not in (200, 503):
            raise reply.problem()
        return reply.status == 200

    def _forwarded(self) -> tuple[Header, ...]:
        headers = []
        for name, value in self._context.invocation_metadata():
            if name not in FORWARDED:
                continue
            if not isinstance(value, str) or not VALUE.fullmatch(value):
                raise Problem(400, f"The metadata {name} are malformed.")
            headers.append((name, value))
        return tuple(headers)


def _server_live(_: Any, caller: Caller) -> Any:
    return CLASSES["Live"](live=caller.is_ready("/v2/health/live"))


def _server_ready(_: Any, caller: Caller) -> Any:
    return CLASSES["Ready"](ready=caller.is_ready("/v2/health/ready"))


def _model_ready(request: Any, caller: Caller) -> Any:
    path = translation.model_path(request.name, request.version)
    return CLASSES["Ready"](ready=caller.is_ready(f"{path}/ready"))


def _server_metadata(_: Any, caller: Caller) -> Any:
    return CLASSES["ServerMetadata"](**caller.document("/v2"))


def _model_metadata(request: Any, caller: Caller) -> Any:
    path = translation.model_path(request.name, request.version)
    return translation.metadata(caller.document(path))


def _model_infer(request: Any, caller: Caller) -> Any:
    path = translation.model_path(request.model_name, request.model_version)
    body = translation.body(request)
    headers = (("Content-Type", BINARY), (LENGTH_HEADER, str(body.json_size)))
    reply = caller.request("POST", f"{path}/infer", headers, body.content)
    if reply.status != 200:
        raise reply.problem()
    size = int(reply.headers.get(LENGTH_HEADER.lower(), len(reply.body)))
    return translation.response(reply.body, size, raw=bool(request.raw_input_contents))


def _check(request: Any, caller: Caller) -> Any:
    if request.service not in WATCHED:
        raise Problem(404, "Unknown service.")
    ready = caller.is_ready(health.READY_PATH)
    status = health.SERVING if ready else health.NOT_SERVING
    return CLASSES["HealthResponse"](status=status)


METHODS: Mapping[str, Mapping[str, tuple[str, Call]]] = {
    SERVICE: {
        "ServerLive": ("Empty", _server_live),
        "ServerReady": ("Empty", _server_ready),
        "ModelReady": ("Name", _model_ready),
        "ServerMetadata": ("Empty", _server_metadata),
        "ModelMetadata": ("Name", _model_metadata),
        "ModelInfer": ("InferRequest", _model_infer),
    },
    health.NAME: {"Check": ("HealthRequest", _check)},
}
"""Service -> method -> the message of its requests, and its function."""


class Server:
    """A running server. Each worker has one on the same port; the kernel distributes clients."""

    def __init__(self, port: int, limits: Limits, adopt: Callable[[Any], None]) -> None:
        """Listen on a port. `adopt`: lets the event loop serve a connection.

        Raises:
            StartupError: Another process listens on the port.
        """
        self._bridge = Bridge(adopt)
        self._body_bytes = limits.body_bytes
        # The event loop answers before: after the queue, and after the prediction.
        self._seconds = 2.0 * limits.predict_seconds + limits.body_seconds + limits.write_seconds
        self._predictions = ThreadPoolExecutor(INFER_THREADS, thread_name_prefix="grpc-infer")
        self._watchers = Watchers(self._bridge, self._seconds)
        self._server = grpc.server(
            ThreadPoolExecutor(OTHER_THREADS, thread_name_prefix="grpc"),
            maximum_concurrent_rpcs=limits.queue + INFER_THREADS + OTHER_THREADS + MAX_WATCHERS,
            options=(
                ("grpc.so_reuseport", 1),
                ("grpc.max_receive_message_length", limits.body_bytes),
                ("grpc.max_metadata_size", limits.header_bytes),
            ),
        )
        for service, methods in METHODS.items():
            handlers = {name: self._handler(*method) for name, method in methods.items()}
            if service == health.NAME:
                handlers["Watch"] = self._watch_handler()
            handler = grpc.method_handlers_generic_handler(service, handlers)
            self._server.add_generic_rpc_handlers((handler,))
        address = settings.all_addresses(port)
        try:
            bound = self._server.add_insecure_port(address)
        except RuntimeError:
            bound = 0
        if bound != port:
            raise StartupError(f"gRPC cannot listen on {address}.")
        self._server.start()

    def stop(self, seconds: float) -> Any:
        """Accept no more calls, end the others within `seconds`, and return the final event."""
        self._watchers.close()
        return self._server.stop(seconds)

    def _handler(self, message: str, call: Call) -> Any:
        def handle(data: bytes, context: Any) -> bytes:
            with _abort_on_error(context):
                if call is _model_infer:
                    require_fitting(data, self._body_bytes)
                request = CLASSES[message].FromString(data)
                caller = Caller(self._bridge, context, self._seconds)
                answer: bytes = call(request, caller).SerializeToString()
                return answer
            raise AssertionError  # the call is aborted

        if call is _model_infer:
            handle.experimental_thread_pool = self._predictions  # type: ignore[attr-defined]
        return grpc.unary_unary_rpc_method_handler(handle)

    def _watch_handler(self) -> Any:
        def handle(data: bytes, context: Any, send: Callable[[Any], None]) -> None:
            with _abort_on_error(context):
                request = CLASSES["HealthRequest"].FromString(data)
                self._watchers.add(Watcher(send, request.service in WATCHED), context)

        # The thread of the call is free again: `send` is called from another one.
        handle.experimental_non_blocking = True  # type: ignore[attr-defined]
        return grpc.unary_stream_rpc_method_handler(handle)


@contextmanager
def _abort_on_error(context: Any) -> Iterator[None]:
    """Abort a call with the code of a problem, or of any other error."""
    try:
        yield
    except DecodeError:
        code, detail = grpc.StatusCode.INVALID_ARGUMENT, "The message is malformed."
    except Problem as problem:
        code = CODES.get(problem.status, grpc.StatusCode.UNKNOWN)
        detail = problem.detail
    except Exception:
        log.exception("unexpected error")
        code, detail = grpc.StatusCode.INTERNAL, "The service failed."
    else:
        return
    context.abort(code, detail[:MAX_DETAIL])


def start(limits: Limits, adopt: Callable[[Any], None], port: int) -> Server:
    """Start the server of this process.

    Raises:
        StartupError: Another process listens on the port.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its lines are not JSON
    return Server(port, limits, adopt)
