"""What one pass over a layer collects; locks and installed distributions.

It is kept on disk by the layer's digest: the environment of a model that was trained again is not
read again.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from packaging.utils import canonicalize_name

from modelpack import files, oci
from modelpack.files import atomic_write_text
from modelpack.hardening import secrets
from modelpack.oci import filesystem, streams, tar
from modelpack.oci.streams import HashingReader, Readable
from modelpack.oci.tar import Entry

MANIFEST = "app/modelpack.json"
LOCK = "app/requirements.lock"

_TEXTS = re.compile(rf"{re.escape(MANIFEST)}|{re.escape(LOCK)}|.*\.dist-info/RECORD")
_TEXT_BYTES = 2**24
_CHUNK = 2**20
_OVERLAP = 4096  # bytes of a chunk that are looked at with the next one, too
_UNCHECKED = b"\x01\x00\x00\x00"  # flags of byte code by PEP 552: by hash, which is not checked


@dataclass(frozen=True)
class Evidence:
    """`texts`: path -> content. `stamped`: byte code that holds the time of its source.
    `shapes`: path -> names of the secrets that its content looks like.
    """

    texts: dict[str, str] = field(default_factory=dict)
    stamped: tuple[str, ...] = ()
    shapes: dict[str, tuple[str, ...]] = field(default_factory=dict)


def collect(layer: oci.Layer) -> Evidence:
    """Raises:
    UsageError: the layer is damaged.
    """
    place = (
        files.cache_directory("evidence") / f"{_version()}-{layer.diff_id.replace(':', '-')}.json"
    )
    with suppress(OSError, ValueError, TypeError):
        known = json.loads(place.read_text("utf-8"))
        return Evidence(known["texts"], tuple(known["stamped"]), known["shapes"])
    found = _gathered(layer)
    with suppress(OSError):
        atomic_write_text(place, json.dumps(asdict(found)))
    return found


def _version() -> str:
    """Of what is looked for: another one reads all layers again."""
    sources = (Path(__file__), Path(secrets.__file__))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]


def _gathered(layer: oci.Layer) -> Evidence:
    texts, stamped = {}, []
    with _members(layer) as members:
        for entry, content in members:
            if entry.path.endswith(".pyc") and content.read(8)[4:] != _UNCHECKED:
                stamped.append(entry.path)
            if _TEXTS.fullmatch(entry.path) and entry.size <= _TEXT_BYTES:
                texts[entry.path] = content.read().decode(errors="replace")
    return Evidence(texts, tuple(stamped), _lookalikes(layer, texts))


def _lookalikes(layer: oci.Layer, texts: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Of all files but those that are word for word of a distribution: some carry examples."""
    digests = {entry.path: entry.sha256 for entry in filesystem.layer_listing(layer)}
    recorded = recorded_digests(digests, lambda path: texts.get(path, ""))
    found = {path: set(secrets.secret_file_kinds(path)) for path in digests}
    with _members(layer) as members:
        for entry, content in members:
            source = source_of(entry.path)
            if not digests.get(source) or recorded.get(source) != digests[source]:
                found[entry.path].update(_shapes(content))
            else:
                found[entry.path].clear()
    return {path: tuple(sorted(names)) for path, names in found.items() if names}


@contextmanager
def _members(layer: oci.Layer) -> Iterator[Iterator[tuple[Entry, Readable]]]:
    """The regular files of a layer, each to be read before the next one is asked for."""
    with layer.open() as stream:
        members = tar.members(HashingReader(stream, streams.LAYER))
        yield ((entry, content) for entry, content in members if content is not None)


def _shapes(content: Readable) -> Iterator[str]:
    data = b""
    while more := content.read(_CHUNK):
        data = data[-_OVERLAP:] + more
        yield from secrets.secret_patterns(data)


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


def recorded_digests(paths: Iterable[str], text: Callable[[str], str]) -> Mapping[str, str]:
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
