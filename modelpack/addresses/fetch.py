"""Fetch the files of a model by its address."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from modelpack.errors import UsageError
from modelpack.types import Origin

from . import is_web_address
from .artifacts import Progress, copy_all, open_store
from .http import public
from .mlflow import Resolved, resolve
from .web import download, file_name, require_digest, require_valid

_STORES = "s3, gs, wasbs, abfss, hdfs, dbfs, ftp, sftp"


@dataclass(frozen=True)
class Fetched:
    """A model that was fetched.

    Attributes:
        path: A file, or the folder that MLflow wrote.
        origin: Without the digest.
        digests: Path in the folder -> SHA-256; of a file, the path is "".
    """

    path: Path
    origin: Origin
    digests: Mapping[str, str]


def require_fetchable(address: str, sha256: str | None) -> None:
    """Raise UsageError unless the form of an address is known, and its digest given."""
    if is_web_address(address):
        require_valid(address)
        require_digest(address, sha256)
    elif not re.match(r"(models|runs):/", address):
        scheme = urlsplit(address).scheme if address.isprintable() else ""
        raise UsageError(
            f"modelpack reads no addresses of the kind {ascii(scheme)[1:-1]}://.",
            hint="Download the model, and give its file or folder. Addresses are"
            " models:/NAME/VERSION, models:/NAME@ALIAS, runs:/ID/PATH and https://.",
        )


def fetch(address: str, sha256: str | None, parent: Path, on_bytes: Progress) -> Fetched:
    """Fetch a model into the empty folder `parent`. `sha256` is the digest of a file of HTTPS.

    Raises:
        UsageError: The address, a variable or the digest is not valid, the server does not have
            the model, or it denies access.
        ModelRefusedError: The digest is wrong, or the response is one that no server sends.
        ModelNotSupportedError: The files are in a store that modelpack does not read.
        EnvironmentNotResolvedError: The server does not respond, or the disk is full.
    """
    require_fetchable(address, sha256)
    if is_web_address(address):
        digest = require_digest(address, sha256)
        path = parent / file_name(address)
        download(address, digest, path, on_bytes)
        return Fetched(path, Origin(public(address), public(address)), {"": digest})
    resolved = resolve(address)
    path = parent / _folder_name(resolved)
    store = open_store(resolved.artifacts, resolved.address)
    try:
        digests = copy_all(store, path, on_bytes)
    finally:
        store.close()
    return Fetched(path, _origin(address, resolved), digests)


def _folder_name(resolved: Resolved) -> str:
    return re.sub(r"[^\w.-]", "_", resolved.name, flags=re.ASCII).lstrip(".")[:100] or "model"


def _origin(address: str, resolved: Resolved) -> Origin:
    return Origin(
        address,
        resolved.address,
        name=resolved.name,
        version=resolved.version,
        server=resolved.server,
        artifacts=public(resolved.artifacts),
        run=resolved.run,
    )
