"""What uv says when it fails, in the user's words."""

from __future__ import annotations

import re

from ..errors import EnvironmentNotResolvedError
from .index import redacted

MISSING_DATES = "is missing an upload date"
"""uv's words for a file of an index that serves no upload times."""

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
    (r"dns error|failed to lookup|Connection refused|timed out|tcp connect", _REACH, _CHECK_INDEX),
    (
        r"no usable wheels|no wheels",
        "Not every distribution has a wheel for Python {python} on {platform}: {reason}",
        "Try another Python (--python X.Y) or platform (--platform linux/amd64), or name a version"
        " that has one: --requirement NAME==VERSION",
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
    explanation, *hints = re.split(r"^\s*hint:", redacted(output), flags=re.MULTILINE)
    reason = _paragraph(explanation)
    words = " ".join([reason, *hints])
    message, hint = next(told for pattern, *told in _KINDS if re.search(pattern, words))
    return EnvironmentNotResolvedError(
        message.format(reason=reason, python=python, platform=platform), hint=hint
    )


def _paragraph(explanation: str) -> str:
    """The explanation of uv in one line, without its frame and its warnings."""
    lines = (re.sub(r"^[\W]+|^error: ", "", line) for line in explanation.splitlines())
    told = (re.sub(r"^(cause|Caused by): ", "", line).strip() for line in lines)
    kept = [line for line in told if line and not line.startswith("warning:")]
    if len(kept) > 1 and kept[0].startswith("No solution found"):
        del kept[0]
    return _joined(kept)


def _joined(lines: list[str]) -> str:
    """The lines of a proof read on; those of a chain of causes are parted by colons."""
    text = " ".join(lines) if lines[:1] and lines[0].startswith("Because") else ": ".join(lines)
    return f"{text.rstrip('.')}."
