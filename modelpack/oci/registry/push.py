"""Uploads and pushes.

An interrupted part is resumed from where the registry has it.

Source: opencontainers/distribution-spec 1.1, spec.md, "Pushing blobs".
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from functools import partial
from typing import IO
from urllib.parse import urljoin, urlsplit, urlunsplit

import requests

from modelpack.errors import ModelpackError
from modelpack.oci import image
from modelpack.oci.image import Blob, Descriptor, Store
from modelpack.oci.registry.client import Repository
from modelpack.oci.registry.errors import BusyError
from modelpack.oci.registry.http import PAUSES

PART = 64 * 2**20  # bytes; larger blobs are sent in parts
_STEP = 2**20  # bytes between two calls of `on_progress`

OnProgress = Callable[[str, int, int], None]
"""Receives the digest of a blob, the bytes sent, and the size.

It is called once for a blob that the registry has, with all bytes, else with 0 bytes first.
"""


def upload(repository: Repository, blob: Blob, on_progress: OnProgress) -> bool:
    """Upload a blob that the registry does not have yet, and return whether it did not.

    Raises:
        UsageError: The registry cannot be reached, or denies access.
        BuildFailedError: The registry fails, or rejects the blob.
    """
    if repository.has_blob(blob.digest):
        on_progress(blob.digest, blob.size, blob.size)
        return False
    on_progress(blob.digest, 0, blob.size)
    _Upload(repository, blob, on_progress).run()
    return True


class _Upload:
    """The upload of one blob. `_location` is where the registry expects the rest."""

    def __init__(self, repository: Repository, blob: Blob, on_progress: OnProgress) -> None:
        self._repository = repository
        self._blob = blob
        self._on_progress = on_progress
        self._location = ""
        self._part = PART

    def run(self) -> None:
        done = self._begin()
        for pause in (*PAUSES, None):
            try:
                self._send(done)
            except BusyError:
                if pause is None:
                    raise
                time.sleep(pause)
                done = self._resume()
            else:
                return

    def _begin(self) -> int:
        path = self._repository.path("blobs/uploads/")
        with self._repository.transport.request("POST", path, {202}) as answer:
            self._moved(answer)
            least = answer.headers.get("OCI-Chunk-Min-Length", "")
        self._part = max(PART, int(least) if re.fullmatch("[0-9]{1,12}", least) else 0)
        return 0

    def _resume(self) -> int:
        """Return how much the registry has. Start again if that is unknown or too much."""
        try:
            answer = self._repository.transport.request("GET", self._location, {204})
        except ModelpackError:
            return self._begin()
        with answer:
            self._moved(answer)
            received = re.fullmatch("(?:bytes=)?0-([0-9]{1,18})", answer.headers.get("Range", ""))
        done = int(received[1]) + 1 if received and received[1] != "0" else 0
        return done if done < self._blob.size else self._begin()

    def _send(self, done: int) -> None:
        """Send the parts, the last one with the digest of the blob."""
        while self._blob.size - done > self._part:
            with self._request("PATCH", self._location, {202}, done, done + self._part) as answer:
                self._moved(answer)
            done += self._part
        address = urlsplit(self._location)
        query = "&".join(filter(None, [address.query, f"digest={self._blob.digest}"]))
        location = urlunsplit(address._replace(query=query))
        self._request("PUT", location, {201}, done, self._blob.size).close()

    def _request(
        self, method: str, location: str, expected: Collection[int], start: int, end: int
    ) -> requests.Response:
        headers = {"Content-Type": "application/octet-stream"}
        if method == "PATCH":
            headers["Content-Range"] = f"{start}-{end - 1}"
        with ExitStack() as streams:

            def body() -> _Part:
                stream = streams.enter_context(self._blob.open())
                _skip(stream, start)
                return _Part(stream, end - start, partial(self._report, start))

            return self._repository.transport.request(
                method, location, expected, headers=headers, body=body
            )

    def _report(self, start: int, done: int) -> None:
        self._on_progress(self._blob.digest, start + done, self._blob.size)

    def _moved(self, answer: requests.Response) -> None:
        if "Location" in answer.headers:
            self._location = urljoin(answer.url, answer.headers["Location"])


class _Part:
    """A part of a stream as the body of a request, which reports progress."""

    def __init__(self, stream: IO[bytes], size: int, on_progress: Callable[[int], None]) -> None:
        self.len = size  # requests reads this attribute
        self._stream = stream
        self._done = self._reported = 0
        self._on_progress = on_progress

    def read(self, size: int = -1) -> bytes:
        left = self.len - self._done
        data = self._stream.read(left if size < 0 else min(size, left))
        self._done += len(data)
        if data and (self._done - self._reported >= _STEP or self._done == self.len):
            self._reported = self._done
            self._on_progress(self._done)
        return data


def _skip(stream: IO[bytes], count: int) -> None:
    while count and (data := stream.read(min(count, _STEP))):
        count -= len(data)


def push(
    store: Store, top: Descriptor, repository: Repository, on_progress: OnProgress
) -> Descriptor:
    """Push a manifest, or an index and its manifests, with the tag of the repository.

    Raises:
        UsageError: The image is damaged, or the registry denies access.
        BuildFailedError: The registry fails.
    """
    return _push(store, top, repository, on_progress, repository.name.tag_or_latest)


def _push(
    store: Store, top: Descriptor, repository: Repository, on_progress: OnProgress, tag: str
) -> Descriptor:
    data = image.require_digest(store.manifest(top), top.digest)
    document = image.parse_json(data)
    if "manifests" in document:
        for entry in image.descriptors(document, "manifests"):
            _push(store, entry, repository, on_progress, "")
    else:
        config = image.descriptor_of(document.get("config"))
        for layer in image.descriptors(document, "layers"):
            upload(repository, _blob(store, layer), on_progress)
        upload(repository, _blob(store, config), lambda *_: None)
    repository.put_manifest(data, top.media_type, tag)
    return top


def _blob(store: Store, layer: Descriptor) -> Blob:
    return Blob(layer.digest, layer.size, layer.media_type, partial(store.blob, layer))
