"""Failed builds explained."""

from __future__ import annotations

import re
from collections.abc import Sequence

from packaging.version import InvalidVersion, Version

from modelpack.errors import BuildFailedError

_SHOWN_LINES = 15


def build_failure(step: str, error: str, output: Sequence[str]) -> BuildFailedError:
    """Return the error for a failed build.

    `step` and `error` may be "". The error shows the end of `output`.
    """
    location = f" in the step {step}" if step else ""
    reason = f": {error}." if error else "."
    last = "\n".join(output[-_SHOWN_LINES:])
    return BuildFailedError(
        f"The image could not be built: it failed{location}{reason}\n{last}".rstrip(),
        hint=installation_hint("\n".join([*output, error])),
    )


# Most specific first: pip ends each network failure with "No matching distribution found".
_CAUSES = (
    (
        r"cert(ificate)?.?verif|SSLError|invalid peer certificate",
        "Builds do not trust the certificate of the package index. Give the certificates of your "
        "authority: --ca-cert FILE",
    ),
    (
        r"Tunnel connection failed|407 Proxy",
        "The proxy requires credentials. Set HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT",
    ),
    (
        r"\b40[13] (Client )?Error|HTTP error 40[13]|Credentials not correct|\b401 Unauthorized",
        "The package index rejects the credentials, or requires some. Add them to its URL in the "
        "settings of pip or uv, or to ~/.netrc.",
    ),
    (
        r"do not match the hashes|hash mismatch",
        "A package differs from the one that was locked. Find out who changed it. If the change is "
        "intended, create the bundle again.",
    ),
    (
        r"load metadata for",
        "The base image is not available locally and cannot be pulled. Run: modelpack base build "
        "--python X.Y, and create the bundle again.",
    ),
    (
        r"error: command .*(gcc|cc|g\+\+)'? failed|Failed building wheel|Failed to build",
        "A distribution without a wheel could not be built from source. Choose a version that has "
        "one (--requirement NAME==VERSION), or another Python version (--python X.Y).",
    ),
    (r"no space left on device", "Free disk space. `docker system df` shows its use."),
    (
        r"name resolution|name or service not known|connection refused|unreachable|timed out"
        r"|could not resolve|dns error|NewConnectionError",
        "The package index cannot be reached. Check the network and the proxy settings, or choose "
        "another index: --index-url URL",
    ),
    (
        r"no matching distribution found|not found in the package registry|no solution found",
        "The package index does not offer a locked distribution, or not with these credentials. "
        "Check --index-url and ~/.netrc, or create the bundle again.",
    ),
)

_OFFERED = re.compile(
    r"satisfies the requirement (?P<name>[\w.-]+)==(?P<version>[\w.]+)"
    r" \(from versions: (?:[\w.]+, )*(?P<newest>[\w.]+)\)",
    re.ASCII,
)
"""What pip prints if a distribution has files for this Python, but not of the locked version."""


def installation_hint(output: str) -> str:
    """Return what to do after a failure with this output of pip, uv or BuildKit, or ""."""
    hints = (hint for cause, hint in _CAUSES if re.search(cause, output, re.IGNORECASE))
    hint = next(hints, "")
    return (_older_hint(output) or hint) if hint == _CAUSES[-1][1] else hint


def _older_hint(output: str) -> str:
    """Return the option for an older version that fits the Python of the image, or "".

    uv ignores that the metadata of a distribution excludes a single Python (`!=3.7.*`).
    """
    found = _OFFERED.search(output)
    if found is None or not _is_older(found["newest"], found["version"]):
        return ""
    name, version, newest = found["name"], found["version"], found["newest"]
    return (
        f"The package index has no {name} {version} for this Python, but {newest}: "
        f"--requirement '{name}<={newest}'"
    )


def _is_older(version: str, other: str) -> bool:
    try:
        return Version(version) < Version(other)
    except InvalidVersion:
        return False
