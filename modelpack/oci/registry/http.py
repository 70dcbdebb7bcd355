"""Requests: challenges, redirects, retries.

Source: opencontainers/distribution-spec 1.1, spec.md. Credentials are for the registry that they
were left for, and for the server of tokens that it names: never for where it redirects to.
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
_LONGEST_PAUSE = 30.0
_REDIRECTS = 5
BROKEN = (requests.RequestException, urllib3.exceptions.HTTPError)

Body = bytes | Callable[[], Any]


class Transport:
    """Talks to the registry of `name`. `plain_http`: without TLS even to another machine, as also
    if MODELPACK_PLAIN_HTTP lists its host; one on this machine is asked without in any case.
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
        """`path`: below /v2/, or a Location. `expected`: the status codes of answers. Several
        attempts are made, unless there is a function that makes the body, as a stream: its owner
        knows how far it came. The content of the answer is for the caller to read.

        Raises:
            UsageError: the registry cannot be reached, or does not let this user do it.
            BuildFailedError: it fails.
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
            time.sleep(max(pause, _retry_after(answer)))
        raise AssertionError("the last attempt returns or raises")

    def read(self, answer: requests.Response) -> bytes:
        """The document of an answer; a byte more than one may have of what is larger.

        Raises:
            BuildFailedError: the connection breaks.
        """
        try:
            data: bytes = answer.raw.read(streams.DOCUMENT + 1, decode_content=True)
        except BROKEN as error:
            raise errors.connection_lost(self.name, error) from None
        return data

    def _wants_tls(self, answer: requests.Response) -> bool:
        """Whether a registry of this machine, which is asked without, speaks TLS after all."""
        is_plain = self._base.startswith("http:") and is_loopback(self.name.registry_host)
        if not is_plain or answer.status_code != requests.codes.bad_request:
            return False
        with self._once("GET", self._base, headers={}) as told:
            if not re.search("HTTPS (server|port)", errors.response_text(told)):
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
        for _ in range(_REDIRECTS):
            own = {"Authorization": self._authorization} if self._is_ours(url) else {}
            data = body() if callable(body) else body
            answer = self._once(method, url, headers={**headers, **own}, data=data)
            if method not in {"GET", "HEAD"} or not answer.is_redirect:
                return answer
            answer.close()
            url = urljoin(url, answer.headers["Location"])
        raise self._elsewhere("redirects again and again")

    def _once(self, method: str, url: str, **options: Any) -> requests.Response:
        """Follows no redirect, and takes no credentials from ~/.netrc."""
        host = urlsplit(url).netloc.rpartition("@")[2]
        if urlsplit(url).scheme != "https" and not (self._plain or is_loopback(host)):
            raise self._elsewhere("leads to an address without TLS")
        options["headers"] = {name: text for name, text in options["headers"].items() if text}
        answer = self._session.request(
            method,
            url,
            **options,
            allow_redirects=False,
            auth=_as_it_is,
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
        return UsageError(f"The registry {self.name.registry} {why}.", hint="Ask whoever runs it.")


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _authorities(host: str) -> str | bool:
    """Who vouches for a host: as for Docker, else as for everything that uses requests, else those
    of the system.
    """
    own = sorted(Path("/etc/docker/certs.d", host).glob("*.crt"))
    if own:
        return str(own[0])
    if os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE"):
        return True
    paths = ssl.get_default_verify_paths()
    return paths.cafile or paths.capath or True


def _retry_after(answer: requests.Response) -> float:
    """Seconds."""
    asked = answer.headers.get("Retry-After", "")
    return min(float(asked), _LONGEST_PAUSE) if asked.isascii() and asked.isdigit() else 0.0
