"""The HTTP client and the state that checks share."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelpack.types import Field, ModelSpec, Parity, Reference, Ruling, RunningService, Scalar

REQUEST_SECONDS = 30.0


class CheckFailedError(Exception):
    """A failed check; the message compares the result with the expected one."""


class CheckNotRunError(Exception):
    """The reason why a check cannot be run."""


@dataclass(frozen=True)
class Response:
    """An HTTP response. `body` is the decoded JSON or None, `content` the bytes."""

    status: int
    content_type: str
    body: Any
    seconds: float
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Probe:
    """Queries the service over loopback, without the proxies of the environment.

    Attributes:
        expected: Waits for the reference with its answers.
        expected_again: As `smoke` has `answered_again`.
        scanned: Waits for the rulings on the image.
        started: When the service was started, of `time.monotonic`.
        parity, rulings: Results of checks.
    """

    def __init__(
        self,
        service: RunningService,
        model: ModelSpec,
        reference: Reference | None = None,
        answered: Callable[[], Reference] | None = None,
        scanned: Callable[[], tuple[Ruling, ...]] | None = None,
    ) -> None:
        self.service = service
        self.model = model
        self.reference = reference or Reference(())
        self.expected = answered or (lambda: self.reference)
        self.expected_again: Callable[[], Reference | None] = lambda: None
        self.scanned = scanned
        self.started = time.monotonic()
        self.parity: Parity | None = None
        self.rulings: tuple[Ruling, ...] = ()
        import requests  # noqa: PLC0415 - takes 60 ms, only for smoke tests

        self._session = requests.Session()
        self._session.trust_env = False

    def close(self) -> None:
        self._session.close()

    def leave(self) -> None:
        """Let the service close the connection, for which its shutdown would wait two seconds."""
        self._request("GET", "/healthz", headers={"Connection": "close"})

    def get(self, path: str) -> Response:
        return self._request("GET", path)

    def predict(self, document: object, query: str = "") -> Response:
        return self._request("POST", "/predict" + query, json=document)

    def post(self, path: str, document: object) -> Response:
        return self._request("POST", path, json=document)

    def post_raw(
        self, path: str, body: bytes, content_type: str, headers: Mapping[str, str] | None = None
    ) -> Response:
        headers = {"Content-Type": content_type, **(headers or {})}
        return self._request("POST", path, data=body, headers=headers)

    def _request(self, method: str, path: str, **kwargs: Any) -> Response:
        started = time.perf_counter()
        try:
            response = self._session.request(
                method, self.service.url + path, timeout=REQUEST_SECONDS, **kwargs
            )
        except OSError as error:  # as every exception of requests is
            reason = type(error).__name__
            raise CheckFailedError(f"{method} {path}: no response ({reason})") from error
        content_type = response.headers.get("Content-Type", "").partition(";")[0].strip()
        body = response.json() if content_type.endswith("json") and response.content else None
        seconds = time.perf_counter() - started
        content, headers = response.content, response.headers
        return Response(response.status_code, content_type, body, seconds, content, headers)

    def example_row(self) -> list[Scalar]:
        """Return the examples of the inputs as a row in signature order."""
        return [field.example for field in self.model.signature.inputs]

    def example_record(self) -> dict[str, Scalar]:
        """Return the same row by name."""
        return {field.name: field.example for field in self.model.signature.inputs}

    @property
    def unknown_row(self) -> str:
        """Why no row can be sent; empty if the inputs have examples."""
        inputs = self.model.signature.inputs
        if not inputs:
            return "the model file does not contain what a row looks like"
        for each in inputs:
            if each.example is None and not each.nullable:
                return f"no value is known for the input {each.name}"
        return ""

    def require_row(self) -> None:
        """Raise CheckNotRunError if the model file does not contain what a row looks like."""
        if self.unknown_row:
            raise CheckNotRunError(self.unknown_row)

    def required_input(self) -> str | None:
        """Return the name of an input without which a row by name is refused."""
        inputs = self.model.signature.inputs
        if len(inputs) < 2:
            return None
        return next((field.name for field in inputs if not field.nullable), None)

    def first_input(self, *types: str) -> tuple[int, Field] | None:
        """Return position and field of the first input of one of the types."""
        inputs = enumerate(self.model.signature.inputs)
        return next(((i, field) for i, field in inputs if field.type in types), None)


def parse_predictions(response: Response) -> list[Any]:
    """Return the predictions in a response.

    Raises:
        CheckFailedError: The status is not 200, or the body has no list of predictions.
    """
    if response.status != 200:
        raise CheckFailedError(f"status {response.status} instead of 200: {shorten(response.body)}")
    predictions = response.body.get("predictions") if isinstance(response.body, Mapping) else None
    if not isinstance(predictions, list):
        raise CheckFailedError(f"no list of predictions in {shorten(response.body)}")
    return predictions


def shorten(value: object) -> str:
    """Return the representation of a value, shortened for a line of a report."""
    text = repr(value)
    return text if len(text) <= 160 else text[:157] + "..."
