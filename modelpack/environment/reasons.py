"""What uv says when it fails, in the user's words."""

from __future__ import annotations

import re

from modelpack.errors import EnvironmentNotResolvedError

from .index import redacted

MISSING_DATES = "is missing an upload date"
"""uv's words for a file of an index that serves no upload times."""

NO_SOLUTION = "No solution found"
"""uv's words where it has asked the index, and no set of versions fits."""

_REACH = "The package index cannot be reached: {reason}"
_CHECK_INDEX = "Check the network and the index: --index-url URL, or the settings of pip or uv"

# Ordered: the first pattern found in uv's words decides.
_KINDS = (
    (
        r"certificate|UnknownIssuer",
        "The package index shows a certificate that is not trusted here: {reason}",
        "Give the authority that signed it, often that of a company's proxy: --ca-cert FILE",
    ),
    (
        r"401 Unauthorized|403 Forbidden|credentials",
        "The package index asks for credentials, or refuses those it was given: {reason}",
        "Put them into the URL of the index in the settings of pip or uv, or into ~/.netrc",
    ),
    (
        r"tunnel error|proxy auth",
        "The proxy lets nothing through to the package index: {reason}",
        "Give its user and password, as in HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT",
    ),
    (r"dns error|failed to lookup|Connection refused|timed out|tcp connect", _REACH, _CHECK_INDEX),
    (
        r"no usable wheels|no wheels",
        "Not every distribution has a wheel for Python {python} on {platform}: {reason}",
        "Try another Python (--python X.Y) or platform (--platform linux/amd64), or name a version"
        " that has one: --requirement NAME==VERSION. One that you name and that has none at all is"
        " built from source",
    ),
    (
        r"was not found in the package registry",
        "The package index does not have all that the model needs: {reason}",
        "Name the distribution by its right name (--requirement NAME), or use an index that has it:"
        " --index-url URL",
    ),
    (
        r"^Because there (is|are) no versions? of",
        "The package index has no such version: {reason}",
        "Name a version that it has, as close as can be: --requirement NAME==VERSION",
    ),
    (
        r"^Because",
        "No set of versions fits on Python {python}: {reason}",
        "Loosen one of the requirements named: --requirement NAME==VERSION takes the place of what"
        " the model file records",
    ),
    (r"error sending request|Failed to fetch", _REACH, _CHECK_INDEX),
    (r"", "The versions could not be locked: {reason}", "Try uv itself: uv pip compile --help"),
)


def not_resolved(output: str, python: str, platform: str) -> EnvironmentNotResolvedError:
    """The error for uv's standard error `output`."""
    told = redacted(output)
    reason = _reason(_lines(re.split(r"^\s*hint:", told, maxsplit=1, flags=re.MULTILINE)[0]))
    words = f"{reason}\n{told}"
    message, hint = next(texts for pattern, *texts in _KINDS if re.search(pattern, words))
    return EnvironmentNotResolvedError(
        message.format(reason=reason, python=python, platform=platform), hint=hint
    )


def _lines(explanation: str) -> list[str]:
    """The lines of uv's explanation, without its frame, labels and warnings."""
    lines = (re.sub(r"^[\W]+|^error: ", "", line) for line in explanation.splitlines())
    told = (re.sub(r"^(cause|Caused by): ", "", line).strip() for line in lines)
    return [line for line in told if line and not line.startswith("warning:")]


def _reason(lines: list[str]) -> str:
    """One line: of a proof all, of a chain of causes what was fetched and the last cause."""
    proof = [i for i, line in enumerate(lines) if line.startswith("Because")]
    if proof:
        return " ".join(lines[proof[0] :])
    fetched = [line for line in lines if line.startswith("Failed to fetch")]
    ends = dict.fromkeys([*(fetched or lines)[:1], *lines[-1:]])
    return f"{': '.join(ends).rstrip('.')}."
