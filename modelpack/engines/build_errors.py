"""Failed builds explained."""

from __future__ import annotations

import re
from collections.abc import Sequence

from modelpack.errors import BuildFailedError

_SHOWN_LINES = 15


def build_failure(step: str, error: str, output: Sequence[str]) -> BuildFailedError:
    """`step`: the one that failed, as `error` says; "" where that is not known. `output`: what was
    said in it; the end of it is shown.
    """
    where = f" in the step {step}" if step else ""
    what = f": {error}." if error else "."
    last = "\n".join(output[-_SHOWN_LINES:])
    return BuildFailedError(
        f"The image could not be built: it failed{where}{what}\n{last}".rstrip(),
        hint=installation_hint("\n".join([*output, error])),
    )


# Most telling first: pip ends each failure of the network with "No matching distribution found".
_CAUSES = (
    (
        r"cert(ificate)?.?verif|SSLError|invalid peer certificate",
        "The package index has a certificate that is not trusted there: give the bundle of your "
        "certificate authority by --ca-cert FILE.",
    ),
    (
        r"Tunnel connection failed|407 Proxy",
        "The proxy lets nothing through: give its user and password, as in "
        "HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT",
    ),
    (
        r"\b40[13] (Client )?Error|HTTP error 40[13]|Credentials not correct|\b401 Unauthorized",
        "The package index asks for credentials, or refuses those it was given: put them into its "
        "URL in the settings of pip or uv, or into ~/.netrc.",
    ),
    (
        r"do not match the hashes|hash mismatch",
        "A package is not the one that was locked. If the index was changed on purpose, make the "
        "bundle again; else find out who changed the package.",
    ),
    (
        r"load metadata for",
        "The base image is not here and cannot be pulled. Where no registry is reached, make one "
        "with `modelpack base build --python X.Y`, and the bundle again.",
    ),
    (
        r"error: command .*(gcc|cc|g\+\+)'? failed|Failed building wheel|Failed to build",
        "A distribution without a wheel could not be built from source: name a version that has "
        "one (--requirement NAME==VERSION), or another Python (--python X.Y).",
    ),
    (r"no space left on device", "Make room: docker system df shows what the engine holds."),
    (
        r"name resolution|name or service not known|connection refused|unreachable|timed out"
        r"|could not resolve|dns error|NewConnectionError",
        "The package index cannot be reached: check the network and the proxy settings, or name "
        "an index that can be reached by --index-url URL.",
    ),
    (
        r"no matching distribution found|not found in the package registry|no solution found",
        "The package index has not what was locked, or does not show it with the credentials that "
        "it was given: check --index-url and ~/.netrc, or make the bundle again.",
    ),
)


def installation_hint(output: str) -> str:
    """What to do after a failure with this output of pip, uv or BuildKit; "" if that is unclear."""
    hints = (hint for cause, hint in _CAUSES if re.search(cause, output, re.IGNORECASE))
    return next(hints, "")
