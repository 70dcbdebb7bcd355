"""Downloads with the index's credentials, CAs and proxy."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from types import TracebackType
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname
from warnings import catch_warnings, simplefilter

import requests
from requests.auth import HTTPBasicAuth
from urllib3.exceptions import InsecureRequestWarning

from modelpack import index_env
from modelpack.errors import EnvironmentNotResolvedError
from modelpack.types import IndexSettings

from .index import redacted

_TIMEOUT = 60  # seconds without a byte
_BLOCK = 2**18


class Transport:
    """A connection pool for several threads. It uses proxy variables and ~/.netrc."""

    def __init__(self, index: IndexSettings) -> None:
        self._index = index
        self._stopped = Event()
        self._session = requests.Session()
        for name, url in index_env.proxies(index).items():
            self._session.proxies[name.partition("_")[0].lower()] = url

    def __enter__(self) -> Transport:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._session.close()

    def stop(self) -> None:
        """End the downloads of other threads with an error."""
        self._stopped.set()

    def blocks(self, url: str) -> Iterator[bytes]:
        """Yield the content of an http, https or file URL.

        Raises:
            EnvironmentNotResolvedError: The download failed, or `stop` was called.
        """
        for block in self._from_disk(url) if url.startswith("file:") else self._from_web(url):
            if self._stopped.is_set():
                raise EnvironmentNotResolvedError("The download was stopped.")
            yield block

    def _from_disk(self, url: str) -> Iterator[bytes]:
        with Path(url2pathname(urlsplit(url).path)).open("rb") as file:
            while block := file.read(_BLOCK):
                yield block

    def _from_web(self, url: str) -> Iterator[bytes]:
        host = urlsplit(url).netloc.rpartition("@")[2]
        try:
            with self._get(url, host) as response:
                response.raise_for_status()
                yield from response.iter_content(_BLOCK)
        except requests.RequestException as error:
            raise EnvironmentNotResolvedError(
                f"{redacted(url)} cannot be downloaded: {redacted(str(error))}.",
                hint="Run the command again. Complete files are kept.",
            ) from error

    def _get(self, url: str, host: str) -> requests.Response:
        """Send a request. It sets `verify`, because REQUESTS_CA_BUNDLE overrides a session's."""
        with catch_warnings():
            simplefilter("ignore", InsecureRequestWarning)  # the user chose it
            return self._session.get(
                url, stream=True, timeout=_TIMEOUT, verify=self._verify(host), auth=self._auth(host)
            )

    def _auth(self, host: str) -> HTTPBasicAuth | None:
        """Return the credentials of the index for files on its host, as pip does."""
        for url in filter(None, (self._index.index_url, *self._index.extra_index_urls)):
            parts = urlsplit(url)
            if parts.username is not None and parts.netloc.rpartition("@")[2] == host:
                return HTTPBasicAuth(unquote(parts.username), unquote(parts.password or ""))
        return None

    def _verify(self, host: str) -> bool | str:
        if {host, host.partition(":")[0]} & set(self._index.trusted_hosts):
            return False
        system = ssl.get_default_verify_paths().cafile  # None if the file does not exist
        return self._index.ca_bundle or system or True
