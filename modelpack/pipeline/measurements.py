"""Smoke reports of the images of this machine, from which `deploy` computes its numbers.

They are not part of an image, because the same model would then not give the same image.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from modelpack import cache
from modelpack.errors import UsageError
from modelpack.files import read_regular
from modelpack.types import SmokeReport, from_json, to_json

_MAX_BYTES = 2**24


def store(image_id: str, report: SmokeReport) -> None:
    """Keep the report of an image, if it has measurements."""
    if report.load and report.passed:
        cache.write("measurements", _name(image_id), json.dumps(to_json(report)))


def load(image_id: str) -> SmokeReport | None:
    """Return the newest report of an image, if one is kept."""
    with suppress(OSError, ValueError):
        return from_json(SmokeReport, json.loads(cache.read("measurements", _name(image_id))))
    return None


def read(path: Path) -> SmokeReport:
    """Read a report that `--report` wrote.

    Raises:
        UsageError: The file is not a report.
    """
    try:
        return from_json(SmokeReport, json.loads(read_regular(path, _MAX_BYTES)))
    except (OSError, ValueError, AttributeError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a smoke report"
        raise UsageError(
            f"{path} cannot be read: {reason}.",
            hint="Give a file that `modelpack package --report FILE` wrote.",
        ) from error


def _name(image_id: str) -> str:
    return f"{image_id.removeprefix('sha256:')}.json"
