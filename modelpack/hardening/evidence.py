"""What is found in the files of one layer, read once: texts that rules ask for, byte code with time
stamps, and what looks like a secret.

It is kept on disk by the layer's digest: the environment of a model that was trained again is not
read again.
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from modelpack import cache, oci
from modelpack.hardening import shapes
from modelpack.oci import limits, tars
from modelpack.oci.entries import Entry
from modelpack.oci.streams import Measured, Readable
from modelpack.writing import write_whole

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


def of(layer: oci.Layer) -> Evidence:
    """Raises:
    UsageError: the layer is damaged.
    """
    place = cache.folder("evidence") / f"{_version()}-{layer.diff_id.replace(':', '-')}.json"
    with suppress(OSError, ValueError, TypeError):
        known = json.loads(place.read_text("utf-8"))
        return Evidence(known["texts"], tuple(known["stamped"]), known["shapes"])
    found = _gathered(layer)
    with suppress(OSError):
        write_whole(place, json.dumps(asdict(found)))
    return found


def _version() -> str:
    """Of what is looked for: another one reads all layers again."""
    sources = (Path(__file__), Path(shapes.__file__))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]


def _gathered(layer: oci.Layer) -> Evidence:
    found = Evidence()
    stamped = []
    with layer.open() as stream:
        for entry, content in tars.members(Measured(stream, limits.LAYER)):
            if content is None:
                continue
            start = content.read(_CHUNK)
            if entry.path.endswith(".pyc") and start[4:8] != _UNCHECKED:
                stamped.append(entry.path)
            if _TEXTS.fullmatch(entry.path) and entry.size <= _TEXT_BYTES:
                start += content.read()
                found.texts[entry.path] = start.decode(errors="replace")
            if names := _shapes(entry, start, content):
                found.shapes[entry.path] = names
    return Evidence(found.texts, tuple(stamped), found.shapes)


def _shapes(entry: Entry, start: bytes, rest: Readable) -> tuple[str, ...]:
    names = set(shapes.named(entry.path))
    data = start
    while data:
        names.update(shapes.found(data))
        more = rest.read(_CHUNK)
        data = more and data[-_OVERLAP:] + more
    return tuple(sorted(names))
