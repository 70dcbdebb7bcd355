"""Addresses of files: https:// with a digest that the user gives."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from modelpack.errors import EnvironmentNotResolvedError, ModelRefusedError, UsageError

from .artifacts import MAX_BYTES, Progress, file_digest, shown_as
from .http import Access, Client, Rejected, public, require_secure
from .servers import url_authorization

_ADVICE = "Add the user to the address: https://USER:PASSWORD@HOST/PATH"
_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.ASCII | re.IGNORECASE)


def require_digest(address: str, sha256: str | None) -> str:
    """Return the digest that --sha256 gives for an address.

    Raises:
        UsageError: The digest is missing or not valid, or the address is not valid.
    """
    if sha256 is None:
        raise UsageError(
            f"The digest of {public(address)} is not given: a server can send another file at any"
            " time.",
            hint="Add the digest that the author publishes: --sha256 HEX. For a file that you"
            " trust, sha256sum FILE prints it.",
        )
    match = _SHA256.fullmatch(sha256.strip())
    if match is None:
        raise UsageError(
            f"{ascii(sha256)[1:-1][:100]} is not a SHA-256 digest.",
            hint="Give the 64 hexadecimal digits that sha256sum FILE prints.",
        )
    return match[1].lower()


def require_valid(address: str) -> None:
    """Raise UsageError unless an address of the web is valid and encrypted."""
    try:
        parts = urlsplit(address)
        is_valid = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid:
        raise UsageError(
            f"{ascii(address)[1:-1][:100]} is not a valid address.", hint="Correct the address."
        )
    require_secure(address)


def file_name(address: str) -> str:
    """Return the name of the file at an address, without characters that paths may not have."""
    name = PurePosixPath(unquote(urlsplit(address).path)).name
    return re.sub(r"[^\w.-]", "_", name, flags=re.ASCII).lstrip(".")[:100] or "model"


def download(address: str, sha256: str, target: Path, on_bytes: Progress) -> None:
    """Download the file at an address, which must have the digest.

    Raises:
        ModelRefusedError: The file has another digest, or is too large.
        UsageError: There is no such file, or access is denied.
        ModelpackError: As `Client.copy`.
    """
    parts = urlsplit(address)
    access = Access(url_authorization(address), advice=_ADVICE)
    without_user = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="")
    try:
        with Client(public(address), access) as client, target.open("x+b") as file:
            show = shown_as(target.name, on_bytes)
            client.copy(without_user.geturl(), file, MAX_BYTES, show)
            digest = file_digest(file)
    except Rejected as rejected:
        raise UsageError(
            f"{public(address)} cannot be downloaded: the server responds with {rejected.status}.",
            hint="Check the address.",
        ) from None
    except OSError as error:
        raise EnvironmentNotResolvedError(
            f"The model cannot be written to {target.parent}: {error.strerror}.",
            hint="Free space there, or set TMPDIR to a folder on another disk.",
        ) from error
    if digest != sha256:
        raise ModelRefusedError(
            f"{public(address)} is refused and was not executed: its SHA-256 is"
            f" {digest} instead of {sha256}.",
            hint="The file is another one than expected. Ask its author before you use the new"
            " digest.",
        )
