"""HTTP requests to a registry: challenges, redirects, retries.

Credentials are sent to their registry and to its token server, never to the target of a redirect.

Source: opencontainers/distribution-spec 1.1, spec.md.
"""

from __future__ import annotations

import os
import re
import ssl
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from modelpack.errors import UsageError
from modelpack.oci import streams
from modelpack.oci.reference import ImageReference, is_loopback
from modelpack.oci.registry import auth, errors

TIMEOUT = (10, 120)  # seconds: to connect, and without a byte
PAUSES = (0.25, 0.5, 1.0, 2.0)  # seconds, between attempts
_MAX_PAUSE = 30.0
_MAX_REDIRECTS = 5
BROKEN = (requests.RequestException, urllib3.exceptions.HTTPError)

Body = bytes | Callable[[], Any]


class Transport:
    """Sends requests to the registry of `name`.

    Args:
        plain_http: Allow HTTP without TLS, as for hosts in MODELPACK_PLAIN_HTTP and this machine.
    """

    def __init__(self, name: ImageReference, *, plain_http: bool = False) -> None:
        self.name = name
        listed = os.environ.get("MODELPACK_PLAIN_HTTP", "").split(",")
        self._plain = plain_http or name.registry_host in listed
        plain = self._plain or is_loopback(name.registry_host)
        self._base = f"{'http' if plain else 'https'}://{name.registry_host}/v2/"
        self._session = requests.Session()
        self._session.headers["User-Agent"] = "modelpack"
        self._authorization = ""
        self._has_answered = False

    def close(self) -> None:
        self._session.close()

    def request(
        self,
        method: str,
        path: str,
        expected: Collection[int],
        *,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
    ) -> requests.Response:
        """Send a request, and retry it unless `body` is a function, which opens a stream.

        `path` is below /v2/, or a Location. `expected` are the accepted status codes.

        Returns:
            The response, whose content has not been read.

        Raises:
            UsageError: The registry cannot be reached, or denies access.
            BuildFailedError: The registry fails.
        """
        url = urljoin(self._base, path)
        for pause in (None,) if callable(body) else (*PAUSES, None):
            try:
                answer = self._answer(method, url, headers or {}, body)
                if self._wants_tls(answer):
                    url = urljoin(self._base, path)
                    answer = self._answer(method, url, headers or {}, body)
            except BROKEN as error:
                if not self._has_answered:
                    raise errors.unreachable(self.name, error) from None
                if pause is None:
                    raise errors.connection_lost(self.name, error) from None
                time.sleep(pause)
                continue
            if answer.status_code in expected:
                return answer
            if pause is None or answer.status_code not in errors.BUSY:
                with answer:
                    raise errors.rejected(self.name, answer)
            answer.close()
            time.sleep(max(pause, retry_after(answer)))
        raise AssertionError("the last attempt returns or raises")

    def read(self, answer: requests.Response) -> bytes:
        """Read the document in a response, up to one byte more than the maximum size.

        Raises:
            BuildFailedError: The connection breaks.
        """
        try:
            data: bytes = answer.raw.read(streams.DOCUMENT + 1, decode_content=True)
        except BROKEN as error:
            raise errors.connection_lost(self.name, error) from None
        return data

    def _wants_tls(self, answer: requests.Response) -> bool:
        """Return whether a registry of this machine requires TLS, which is not tried first."""
        is_plain = self._base.startswith("http:") and is_loopback(self.name.registry_host)
        if not is_plain or answer.status_code != requests.codes.bad_request:
            return False
        with self._once("GET", self._base, headers={}) as response:
            if not re.search("HTTPS (server|port)", errors.response_text(response)):
                return False
        self._base = f"https{self._base.removeprefix('http')}"
        return True

    def _answer(
        self, method: str, url: str, headers: Mapping[str, str], body: Body | None
    ) -> requests.Response:
        answer = self._sent(method, url, headers, body)
        if answer.status_code == requests.codes.unauthorized and self._is_ours(url):
            known = auth.find(self.name.registry, self.name.repository)
            challenge = answer.headers.get("WWW-Authenticate", "")
            if answered := auth.authorization(challenge, known, self._ask_for_token):
                answer.close()
                self._authorization = answered
                return self._sent(method, url, headers, body)
        return answer

    def _sent(
        self, method: str, url: str, headers: Mapping[str, str], body: Body | None
    ) -> requests.Response:
        for _ in range(_MAX_REDIRECTS):
            own = {"Authorization": self._authorization} if self._is_ours(url) else {}
            data = body() if callable(body) else body
            answer = self._once(method, url, headers={**headers, **own}, data=data)
            if method not in {"GET", "HEAD"} or not answer.is_redirect:
                return answer
            answer.close()
            url = urljoin(url, answer.headers["Location"])
        raise self._elsewhere("redirects too often")

    def _once(self, method: str, url: str, **options: Any) -> requests.Response:
        """Send one request, without redirects and without credentials of ~/.netrc."""
        host = urlsplit(url).netloc.rpartition("@")[2]
        if urlsplit(url).scheme != "https" and not (self._plain or is_loopback(host)):
            raise self._elsewhere("leads to an address without TLS")
        options["headers"] = {name: text for name, text in options["headers"].items() if text}
        answer = self._session.request(
            method,
            url,
            **options,
            allow_redirects=False,
            auth=lambda prepared: prepared,
            proxies={"http": "", "https": ""} if is_loopback(host) else None,
            stream=True,
            timeout=TIMEOUT,
            verify=_authorities(host),
        )
        self._has_answered = True
        return answer

    def _ask_for_token(self, method: str, url: str, **options: Any) -> requests.Response:
        return self._once(method, url, **{"headers": {}, **options})

    def _is_ours(self, url: str) -> bool:
        return urlsplit(url)[:2] == urlsplit(self._base)[:2]

    def _elsewhere(self, why: str) -> UsageError:
        return UsageError(
            f"The registry {self.name.registry} {why}.", hint="Contact its administrator."
        )


def _authorities(host: str) -> str | bool:
    """Return the certificate authorities of a host: Docker's, those of requests or the system's."""
    own = sorted(Path("/etc/docker/certs.d", host).glob("*.crt"))
    if own:
        return str(own[0])
    return system_authorities()


def system_authorities() -> str | bool:
    """Return the certificate authorities: those of requests' variables, or the system's."""
    if os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE"):
        return True
    paths = ssl.get_default_verify_paths()
    return paths.cafile or paths.capath or True


def retry_after(answer: requests.Response) -> float:
    """Return the seconds to wait before a retry."""
    value = answer.headers.get("Retry-After", "")
    return min(float(value), _MAX_PAUSE) if value.isascii() and value.isdigit() else 0.0
