"""What the lock in the image names, and what the distributions in its environment say they hold."""

from __future__ import annotations

import base64
import csv
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from packaging.utils import canonicalize_name

ENVIRONMENT = "opt/venv"
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)
_RECORD = re.compile(
    rf"{ENVIRONMENT}/lib/[^/]+/site-packages/"
    r"(?P<name>[^/]+)-(?P<version>[^/-]+)\.dist-info/RECORD"
)
_BYTE_CODE = re.compile(r"(.*/)?__pycache__/([^/]+?)\.[a-z]+-\d+(\.opt-\d)?\.pyc")


def pins(lock: str) -> Mapping[str, str]:
    """Distribution -> version, of the text of a requirements.lock."""
    return {canonicalize_name(name): version for name, version in _PIN.findall(lock)}


def installed(paths: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Name, version and path of the RECORD of each distribution in the environment."""
    for path in paths:
        if match := _RECORD.fullmatch(path):
            yield canonicalize_name(match["name"]), match["version"], path


def recorded(paths: Iterable[str], text: Callable[[str], str]) -> Mapping[str, str]:
    """Path -> sha256, "" where none is told, of all files that belong to a distribution.

    Source: https://packaging.python.org/en/latest/specifications/recording-installed-packages/
    """
    found: dict[str, str] = {}
    for _, _, record in installed(paths):
        site = posixpath.dirname(posixpath.dirname(record))
        for row in csv.reader(text(record).splitlines()):
            if row:
                path = posixpath.normpath(f"{site}/{row[0]}")
                found[path] = _hexadecimal(row[1] if len(row) > 1 else "")
    return found


def source_of(path: str) -> str:
    """The source of byte code in a __pycache__ (PEP 3147); any other path as it is."""
    match = _BYTE_CODE.fullmatch(path)
    return f"{match[1] or ''}{match[2]}.py" if match else path


def _hexadecimal(told: str) -> str:
    """Of what RECORD has as "sha256=" and base64 without padding."""
    algorithm, _, digest = told.partition("=")
    if algorithm != "sha256":
        return ""
    return base64.urlsafe_b64decode(digest + "=" * (-len(digest) % 4)).hex()
