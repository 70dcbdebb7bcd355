"""Evidence from one pass over a layer; locks and installed distributions.

Evidence is cached by the digest of the layer, so that layers shared by images are read once.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from packaging.utils import canonicalize_name

from modelpack import cache, oci
from modelpack.hardening import secrets
from modelpack.oci import filesystem, streams, tar
from modelpack.oci.streams import Readable
from modelpack.oci.tar import Entry

MANIFEST = "app/modelpack.json"
LOCK = "app/requirements.lock"

_TEXTS = re.compile(rf"{re.escape(MANIFEST)}|{re.escape(LOCK)}|.*\.dist-info/RECORD")
_TEXT_BYTES = 2**24
_CHUNK = 2**20
_OVERLAP = 4096  # bytes of a chunk that are searched again with the next one
_UNCHECKED = b"\x01\x00\x00\x00"  # PEP 552: byte code with a hash that is not checked


@dataclass(frozen=True)
class Evidence:
    """Contents of a layer that rules need.

    Attributes:
        texts: Path -> content of manifest, lock and RECORD files.
        stamped: Byte code with the time of its source.
        shapes: Path -> kinds of secrets that its content looks like.
    """

    texts: dict[str, str] = field(default_factory=dict)
    stamped: tuple[str, ...] = ()
    shapes: dict[str, tuple[str, ...]] = field(default_factory=dict)


def collect(layer: oci.Layer) -> Evidence:
    """Collect the evidence of a layer. Raise UsageError if the layer is damaged."""
    name = f"{_version()}-{layer.diff_id.replace(':', '-')}.json"
    with suppress(OSError, ValueError, TypeError):
        known = json.loads(cache.read("evidence", name))
        return Evidence(known["texts"], tuple(known["stamped"]), known["shapes"])
    evidence = _read_layer(layer)
    cache.write("evidence", name, json.dumps(asdict(evidence)))
    return evidence


def _version() -> str:
    """Return a digest of the code that collects evidence, which invalidates the cache."""
    sources = (Path(__file__), Path(secrets.__file__))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]


def _read_layer(layer: oci.Layer) -> Evidence:
    contents = _Contents()
    listing = filesystem.layer_listing(layer, contents.observe)
    file_count = sum(entry.kind == "file" for entry in listing)
    if len(contents.places) != file_count:  # the listing was cached
        contents = _Contents()
        with layer.open() as stream:  # whose digest `layer_listing` compares
            reader = streams.CountingReader(stream, streams.LAYER)
            for entry, content in tar.members(reader):
                if content is not None and (take := contents.observe(entry, reader.tell())):
                    take(content.read(_TEXT_BYTES))
    texts = {path: text.decode(errors="replace") for path, text in contents.texts.items()}
    stamped = (path for path, head in contents.byte_code if head[4:] != _UNCHECKED)
    return Evidence(texts, tuple(stamped), _lookalikes(layer, contents.places, listing, texts))


class _Contents:
    """What is kept of the files of a layer while they are read.

    Attributes:
        places: Path of each file, position of its content in the tar, and size.
        byte_code: Path and first 8 bytes.
        texts: Path -> content.
    """

    def __init__(self) -> None:
        self.places: list[tuple[str, int, int]] = []
        self.byte_code: list[tuple[str, bytearray]] = []
        self.texts: dict[str, bytearray] = {}

    def observe(self, entry: Entry, position: int) -> Callable[[bytes], None] | None:
        """Return a function that takes the content of a file in pieces, None to skip it."""
        self.places.append((entry.path, position, entry.size))
        if entry.path.endswith(".pyc"):
            head = bytearray()
            self.byte_code.append((entry.path, head))
            return lambda data: head.extend(data[: 8 - len(head)])
        if _TEXTS.fullmatch(entry.path) and entry.size <= _TEXT_BYTES:
            text = self.texts[entry.path] = bytearray()
            return text.extend
        return None


def _lookalikes(
    layer: oci.Layer,
    places: Iterable[tuple[str, int, int]],
    listing: Sequence[Entry],
    texts: Mapping[str, str],
) -> dict[str, tuple[str, ...]]:
    """Return path -> kinds of secrets. Unchanged files of distributions may contain examples."""
    digests = {entry.path: entry.sha256 for entry in listing}
    recorded = recorded_digests(digests, lambda path: texts.get(path, ""))
    kinds = {path: set(secrets.secret_file_kinds(path)) for path in digests}
    with layer.open() as stream:
        reader = streams.CountingReader(stream, streams.LAYER)
        for path, position, size in places:
            source = source_of(path)
            if digests.get(source) and recorded.get(source) == digests[source]:
                kinds[path].clear()
            else:
                reader.seek(position)
                kinds[path].update(_shapes(streams.Section(reader, size)))
    return {path: tuple(sorted(names)) for path, names in kinds.items() if names}


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
    """Return distribution -> version for the text of a requirements.lock."""
    return {canonicalize_name(name): version for name, version in _PIN.findall(lock)}


def installed(paths: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Yield name, version and path of RECORD of each distribution in the environment."""
    for path in paths:
        if match := _RECORD.fullmatch(path):
            yield canonicalize_name(match["name"]), match["version"], path


def recorded_digests(paths: Iterable[str], text: Callable[[str], str]) -> Mapping[str, str]:
    """Return path -> SHA-256 of all files of distributions; "" if RECORD has none.

    Source: https://packaging.python.org/en/latest/specifications/recording-installed-packages/
    """
    digests: dict[str, str] = {}
    for _, _, record in installed(paths):
        site = posixpath.dirname(posixpath.dirname(record))
        for row in csv.reader(text(record).splitlines()):
            if row:
                path = posixpath.normpath(f"{site}/{row[0]}")
                digests[path] = _to_hex(row[1] if len(row) > 1 else "")
    return digests


def source_of(path: str) -> str:
    """Return the source of byte code in a __pycache__ (PEP 3147); any other path unchanged."""
    match = _BYTE_CODE.fullmatch(path)
    return f"{match[1] or ''}{match[2]}.py" if match else path


def _to_hex(entry: str) -> str:
    """Return the digest of an entry of RECORD: "sha256=" and base64 without padding."""
    algorithm, _, digest = entry.partition("=")
    if algorithm != "sha256":
        return ""
    return base64.urlsafe_b64decode(digest + "=" * (-len(digest) % 4)).hex()
