"""Downloads blobs: whole, compared with their digests, and on from where a connection broke.

Source: opencontainers/distribution-spec 1.1, spec.md, "Pulling blobs"; RFC 9110, 14.2 for ranges.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import IO

from modelpack.oci import failures
from modelpack.oci.documents import Descriptor, malformed
from modelpack.oci.registry import Repository
from modelpack.oci.transport import BROKEN, PAUSES

_CHUNK = 2**18


def download(repository: Repository, blob: Descriptor, path: Path) -> None:
    """To the file `path`, of which what is there already is kept, and is only believed if all of
    it has the digest.

    Raises:
        UsageError: the registry has no such blob, or gives another one.
        BuildFailedError: it fails.
    """
    with path.open("ab") as file:
        for pause in (*PAUSES, None):
            try:
                _rest(repository, blob, file)
            except BROKEN as error:
                if pause is None:
                    raise failures.broken(repository.name, error) from None
                time.sleep(pause)
            if file.tell() >= blob.size:
                break
    _require(path, blob)


def _rest(repository: Repository, blob: Descriptor, file: IO[bytes]) -> None:
    """No more than the blob should have."""
    headers = {"Range": f"bytes={file.tell()}-", "Accept-Encoding": "identity"}
    path = repository.path(f"blobs/{blob.digest}")
    if file.tell() == 0:
        del headers["Range"]
    with repository.transport.request("GET", path, {200, 206}, headers=headers) as answer:
        if answer.status_code == 200:
            file.truncate(0)
        while file.tell() <= blob.size and (data := answer.raw.read(_CHUNK)):
            file.write(data)
            file.flush()


def _require(path: Path, blob: Descriptor) -> None:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(_CHUNK):
            found.update(data)
    if f"sha256:{found.hexdigest()}" != blob.digest or path.stat().st_size != blob.size:
        path.unlink()
        raise malformed(f"the registry gives something else for {blob.digest}")
