"""Uploads and pushes.

Source: opencontainers/distribution-spec 1.1, spec.md, "Pushing blobs". A part that breaks off is
sent on from where the registry says that it has it.
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

PART = 64 * 2**20  # bytes; larger blobs go in several
_STEP = 2**20  # bytes from one word of progress to the next

OnProgress = Callable[[str, int, int], None]
"""Gets a blob's digest, how many of its bytes are done, and of how many. What was there already is
told of once, with all done; what is not, with none at first.
"""


def upload(repository: Repository, blob: Blob, on_progress: OnProgress) -> bool:
    """Whether it had to be: False, if it was there already.

    Raises:
        UsageError: the registry cannot be reached, or does not let this user do it.
        BuildFailedError: it fails, or does not take the blob.
    """
    if repository.has_blob(blob.digest):
        on_progress(blob.digest, blob.size, blob.size)
        return False
    on_progress(blob.digest, 0, blob.size)
    _Upload(repository, blob, on_progress).run()
    return True


class _Upload:
    """One blob on its way. `_place`: where the registry wants the rest of it."""

    def __init__(self, repository: Repository, blob: Blob, on_progress: OnProgress) -> None:
        self._repository = repository
        self._blob = blob
        self._on_progress = on_progress
        self._place = ""
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
        place = self._repository.path("blobs/uploads/")
        with self._repository.transport.request("POST", place, {202}) as answer:
            self._moved(answer)
            least = answer.headers.get("OCI-Chunk-Min-Length", "")
        self._part = max(PART, int(least) if re.fullmatch("[0-9]{1,12}", least) else 0)
        return 0

    def _resume(self) -> int:
        """How much is there. From the start where nobody knows, or where more is than was sent."""
        try:
            answer = self._repository.transport.request("GET", self._place, {204})
        except ModelpackError:
            return self._begin()
        with answer:
            self._moved(answer)
            there = re.fullmatch("(?:bytes=)?0-([0-9]{1,18})", answer.headers.get("Range", ""))
        done = int(there[1]) + 1 if there and there[1] != "0" else 0
        return done if done < self._blob.size else self._begin()

    def _send(self, done: int) -> None:
        """Parts, and the last one with the digest of them all."""
        while self._blob.size - done > self._part:
            with self._request("PATCH", self._place, {202}, done, done + self._part) as answer:
                self._moved(answer)
            done += self._part
        address = urlsplit(self._place)
        query = "&".join(filter(None, [address.query, f"digest={self._blob.digest}"]))
        place = urlunsplit(address._replace(query=query))
        self._request("PUT", place, {201}, done, self._blob.size).close()

    def _request(
        self, method: str, place: str, expected: Collection[int], start: int, end: int
    ) -> requests.Response:
        headers = {"Content-Type": "application/octet-stream"}
        if method == "PATCH":
            headers["Content-Range"] = f"{start}-{end - 1}"
        with ExitStack() as streams:

            def body() -> _Part:
                stream = streams.enter_context(self._blob.open())
                _skip(stream, start)
                return _Part(stream, end - start, partial(self._tell, start))

            return self._repository.transport.request(
                method, place, expected, headers=headers, body=body
            )

    def _tell(self, start: int, done: int) -> None:
        self._on_progress(self._blob.digest, start + done, self._blob.size)

    def _moved(self, answer: requests.Response) -> None:
        if "Location" in answer.headers:
            self._place = urljoin(answer.url, answer.headers["Location"])


class _Part:
    """The next bytes of a stream, as a body that tells how far it has come."""

    def __init__(self, stream: IO[bytes], size: int, tell: Callable[[int], None]) -> None:
        self.len = size  # where requests looks for it
        self._stream = stream
        self._done = self._told = 0
        self._tell = tell

    def read(self, size: int = -1) -> bytes:
        left = self.len - self._done
        data = self._stream.read(left if size < 0 else min(size, left))
        self._done += len(data)
        if data and (self._done - self._told >= _STEP or self._done == self.len):
            self._told = self._done
            self._tell(self._done)
        return data


def _skip(stream: IO[bytes], count: int) -> None:
    while count and (data := stream.read(min(count, _STEP))):
        count -= len(data)


def push(
    store: Store, top: Descriptor, repository: Repository, on_progress: OnProgress
) -> Descriptor:
    """`top`: a manifest, or an index with all that it lists, which goes under the repository's
    own tag. `on_progress`: of the layers.

    Raises:
        UsageError: it is damaged, or the registry does not let this user do it.
        BuildFailedError: the registry fails.
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
