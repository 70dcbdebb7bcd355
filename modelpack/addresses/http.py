"""HTTP requests with limits of size, time, redirects and retries.

Credentials are sent to the server that they are for, never to the target of a redirect.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO
from urllib.parse import urljoin, urlsplit, urlunsplit
from warnings import catch_warnings, simplefilter

import requests
import urllib3

from modelpack.errors import (
    EnvironmentNotResolvedError,
    ModelpackError,
    ModelRefusedError,
    UsageError,
)
from modelpack.oci.reference import is_loopback
from modelpack.oci.registry.http import retry_after, system_authorities

TIMEOUT = (10, 60)  # seconds: to connect, and without a byte
MAX_SECONDS = 3_600.0  # for one response
MAX_DOCUMENT = 4 * 2**20
PAUSES = (0.25, 0.5, 1.0, 2.0)  # seconds, between attempts
_MAX_REDIRECTS = 5
_BLOCK = 2**18
_BUSY = {408, 429, 500, 502, 503, 504}
_DENIED = {401, 403}
_BROKEN = (requests.RequestException, urllib3.exceptions.HTTPError)
_PLAIN = "MODELPACK_PLAIN_HTTP"


@dataclass(frozen=True)
class Access:
    """What a server needs to accept requests.

    Attributes:
        authorization: The value of this header, or "".
        verify: Whether its certificate is verified, or the file of its authorities.
        certificate: File of the certificate of this client.
        advice: What the user can do if the server denies access.
    """

    authorization: str = ""
    verify: bool | str = True
    certificate: str | None = None
    advice: str = ""


class Rejected(Exception):  # noqa: N818 - the callers turn it into an error
    """A response of a client error. `code` and `message` are those of MLflow, or ""."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class _Session(requests.Session):
    def get_redirect_target(self, _: requests.Response) -> None:
        """Return no target: before requests returns a redirect, it reads its body without limit."""


class Client:
    """Sends GET and POST requests to one server, and follows its redirects.

    Args:
        url: An address of the server, without credentials.
    """

    def __init__(self, url: str, access: Access) -> None:
        self.url = url.rstrip("/")
        self.access = access
        self._session = _Session()
        self._session.headers["User-Agent"] = "modelpack"
        # The size of a file is that of its bytes.
        self._session.headers["Accept-Encoding"] = "identity"
        self._has_answered = False
        require_secure(url)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._session.close()

    def document(
        self, path: str, query: Mapping[str, str], body: Mapping[str, Any] | None = None
    ) -> Mapping[str, Any]:
        """Return the JSON object at a path below the server. `body` is that of a POST request.

        Raises:
            Rejected: The server sends a client error.
            ModelpackError: The server does not respond, fails, denies access, or sends no object.
        """
        for pause in (*PAUSES, None):
            try:
                with self._response(f"{self.url}{path}", query, body) as response:
                    data = b"".join(self._blocks(response, MAX_DOCUMENT))
            except _BROKEN as error:
                self._pause(pause, error)
            else:
                return self._object(data)
        raise AssertionError("the last attempt returns or raises")

    def copy(self, url: str, file: BinaryIO, limit: int, show: Callable[[int, int], object]) -> int:
        """Write the bytes at a URL to an empty file, and return their number.

        `show` receives the number of bytes so far, and that of all or 0.

        Raises:
            Rejected: The server sends a client error.
            ModelRefusedError: There are more bytes than `limit`.
            ModelpackError: As `document`.
        """
        for pause in (*PAUSES, None):
            file.seek(0)
            file.truncate()
            try:
                with self._response(url) as response:
                    for block in self._blocks(response, limit):
                        file.write(block)
                        show(file.tell(), _announced(response))
            except _BROKEN as error:
                self._pause(pause, error)
            else:
                return file.tell()
        raise AssertionError("the last attempt returns or raises")

    def _pause(self, pause: float | None, error: Exception) -> None:
        """Wait before the next attempt, or raise the error of the last one."""
        if pause is None or not self._has_answered:
            raise self._unreachable(error) from None
        time.sleep(pause)

    @contextmanager
    def _response(
        self, url: str, query: Mapping[str, str] | None = None, body: Any = None
    ) -> Iterator[requests.Response]:
        """Yield a successful response, after retries of a busy server."""
        for pause in (*PAUSES, None):
            with self._followed(url, query, body) as response:
                if response.status_code not in _BUSY:
                    self._require_success(response)
                    yield response
                    return
                if pause is None:
                    raise EnvironmentNotResolvedError(
                        f"{self._server()} fails: it responds with {response.status_code} after"
                        f" {len(PAUSES) + 1} attempts.",
                        hint="Try again later, or look at the log of the server.",
                    )
                wait = max(pause, retry_after(response))
            time.sleep(wait)

    def _followed(self, url: str, query: Mapping[str, str] | None, body: Any) -> requests.Response:
        for _ in range(_MAX_REDIRECTS + 1):
            response = self._once(url, query, body)
            if not response.is_redirect:
                return response
            location = response.headers["Location"]
            response.close()
            if body is not None:
                raise self._hostile("redirects a POST request")
            target = self._target(url, location)
            url, query = target, None  # the target has its query
        raise self._hostile(f"redirects more than {_MAX_REDIRECTS} times")

    def _once(self, url: str, query: Mapping[str, str] | None, body: Any) -> requests.Response:
        """Send one request, without redirects and without credentials of ~/.netrc."""
        is_own = urlsplit(url)[:2] == urlsplit(self.url)[:2]
        access = self.access if is_own else Access()
        headers = {"Authorization": access.authorization} if access.authorization else {}
        with catch_warnings():
            simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)  # the user chose it
            response = self._session.request(
                "GET" if body is None else "POST",
                url,
                params=query,
                json=body,
                headers=headers,
                allow_redirects=False,
                auth=lambda prepared: prepared,
                cert=access.certificate,
                proxies={"http": "", "https": ""} if is_loopback(_host(url)) else None,
                stream=True,
                timeout=TIMEOUT,
                verify=system_authorities() if access.verify is True else access.verify,
            )
        self._has_answered = True
        return response

    def _target(self, url: str, location: str) -> str:
        """Return the target of a redirect, which keeps TLS, or is allowed to have none."""
        try:
            target = urljoin(url, location)
            before, after = urlsplit(url).scheme, urlsplit(target).scheme
            is_plain = after == before == "http" and _is_plain_allowed(target)
            shown = ascii(public(target))[1:-1][:200]
        except ValueError:
            raise self._hostile("redirects to an address that is not valid") from None
        if after != "https" and not is_plain:
            raise self._hostile(f"redirects to an address without TLS, {shown}")
        return target

    def _blocks(self, response: requests.Response, limit: int) -> Iterator[bytes]:
        """Yield a body, which must end within the limits, and have the announced length."""
        end = time.monotonic() + MAX_SECONDS
        raw: Any = response.raw
        # Without `read1`, a block of a slow server could last longer than the limit.
        read: Callable[[int], bytes] = getattr(raw, "read1", raw.read)
        total = 0
        while block := read(_BLOCK):
            total += len(block)
            if total > limit:
                raise self._hostile(f"sends more than {limit:,} bytes, the most that is read")
            if time.monotonic() > end:
                raise EnvironmentNotResolvedError(
                    f"{self._server()} takes more than {MAX_SECONDS:,.0f} seconds for a response.",
                    hint="Try again later, or download the model in another way.",
                )
            yield block
        if total < _announced(response):
            raise requests.ConnectionError("the response ends early")

    def _object(self, data: bytes) -> Mapping[str, Any]:
        try:
            document = json.loads(data)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise UsageError(
                f"{self._server()} does not respond with a JSON object, as MLflow does.",
                hint="Check the address of the server, such as its port and path.",
            )
        return document

    def _require_success(self, response: requests.Response) -> None:
        status = response.status_code
        if status == requests.codes.ok:
            return
        document: Mapping[str, Any] = {}
        try:
            document = self._object(b"".join(self._blocks(response, MAX_DOCUMENT)))
        except (ModelpackError, *_BROKEN):
            pass
        message = _text(document.get("message"))
        if status in _DENIED:
            shown = f": {ascii(message)[1:-1][:200]}" if message else ""
            raise UsageError(
                f"{self._server()} denies access ({status}){shown}.", hint=self.access.advice
            )
        raise Rejected(status, _text(document.get("error_code")), message)

    def _unreachable(self, error: Exception) -> EnvironmentNotResolvedError:
        verb = "breaks the connection" if self._has_answered else "cannot be reached"
        hint = "Check the address, and that the server runs and this machine reaches it."
        if isinstance(error, requests.exceptions.SSLError):
            hint = "If an authority of your own signed it, name its file: REQUESTS_CA_BUNDLE=ca.pem"
        return EnvironmentNotResolvedError(f"{self._server()} {verb}: {_reason(error)}.", hint=hint)

    def _hostile(self, problem: str) -> ModelRefusedError:
        return ModelRefusedError(
            f"{self._server()} {problem}. Nothing was used of the response.",
            hint="Check the address, and contact the administrator of the server.",
        )

    def _server(self) -> str:
        return f"The server {public(self.url)}"


def require_secure(url: str) -> None:
    """Require HTTPS, except on this machine and for hosts in MODELPACK_PLAIN_HTTP.

    Raises:
        UsageError: The connection would be neither encrypted nor authenticated.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and _is_plain_allowed(url)):
        return
    host = _host(url)
    raise UsageError(
        f"{public(url)} is an address without TLS, so others could read or replace what is sent.",
        hint=f"Use https://. To accept the risk for this host, set {_PLAIN}={host}",
    )


def public(url: str) -> str:
    """Return a URL without credentials: user, password, query and fragment are left out."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, _host(url), parts.path, "", ""))


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _is_plain_allowed(url: str) -> bool:
    return is_loopback(_host(url)) or _host(url) in os.environ.get(_PLAIN, "").split(",")


def _announced(response: requests.Response) -> int:
    """Return the announced number of bytes, or 0."""
    value = response.headers.get("Content-Length", "")
    return int(value) if re.fullmatch(r"\d{1,18}", value, re.ASCII) else 0


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _reason(error: Exception) -> str:
    """Return why a connection failed, without the object representations of urllib3."""
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not valid for this machine"
    if isinstance(error, requests.Timeout):
        return "it does not respond in time"
    cause: BaseException | None = error
    while cause is not None and not (isinstance(cause, OSError) and cause.strerror):
        cause = cause.__cause__ or cause.__context__
    reason = cause.strerror if isinstance(cause, OSError) else ""
    return reason.lower() if reason else "the connection fails"
