"""Looks for the secrets of a build in every byte of its layers, and in all that it tells.

What was found in a layer is kept on disk, in words that tell no secret, by a digest of the secrets
that takes its time to make, so that nobody guesses them by it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from modelpack import files as modelpack_files
from modelpack import oci
from modelpack.files import write_whole
from modelpack.hardening.needles import Needle
from modelpack.oci import filesystem, streams, tar
from modelpack.oci.streams import Measured, Readable
from modelpack.types import Violation

CONFIGURATION = "configuration"
_CHUNK = 2**22
_PUBLIC = "/certifi/cacert.pem"  # authorities that everyone knows, which may be the user's too


def found(
    config: Mapping[str, Any], layers: Sequence[oci.Layer], given: Sequence[Needle]
) -> Iterator[Violation]:
    """`config`: the configuration with history, environment and labels. A violation is told with
    the path of the file that holds the secret, or else with the place of its layer.

    Raises:
        UsageError: a layer is damaged.
    """
    if not given:
        return
    told = json.dumps(config, ensure_ascii=False).encode(errors="surrogatepass")
    yield from (_leak(CONFIGURATION, needle) for needle in _in(told, given))
    key = _key(given)
    for number, layer in enumerate(layers, 1):
        for leak in _of_layer(layer, given, key):
            yield leak if leak.where else replace(leak, where=f"layer {number} above the base")


def _leak(where: str, needle: Needle) -> Violation:
    return Violation(where, f"holds {needle.what}")


def _of_layer(layer: oci.Layer, given: Sequence[Needle], key: str) -> Sequence[Violation]:
    """`where`: empty for what is in no content of a file."""
    place = modelpack_files.folder("leaks") / f"{key}-{layer.diff_id.replace(':', '-')}.json"
    with suppress(OSError, ValueError, TypeError):
        return [Violation(*row) for row in json.loads(place.read_text("utf-8"))]
    leaks = [*_whole_files(layer, given), *_searched(layer, [n for n in given if not n.is_file])]
    with suppress(OSError):
        write_whole(place, json.dumps([(leak.where, leak.what) for leak in leaks]))
    return leaks


def _whole_files(layer: oci.Layer, given: Sequence[Needle]) -> Iterator[Violation]:
    files = {
        hashlib.sha256(needle.content).hexdigest(): needle for needle in given if needle.is_file
    }
    for entry in filesystem.listing(layer):
        if entry.sha256 in files and not entry.path.endswith(_PUBLIC):
            yield _leak(entry.path, files[entry.sha256])


def _searched(layer: oci.Layer, given: Sequence[Needle]) -> Iterator[Violation]:
    """Of all bytes of its tar first, with the names and attributes of its files."""
    with layer.open() as stream:
        leaked = _of_stream(stream, given)
    unplaced = set(leaked)
    for path, needle in _placed(layer, leaked) if leaked else ():
        unplaced.discard(needle)
        yield _leak(path, needle)
    yield from (_leak("", needle) for needle in given if needle in unplaced)


def _placed(layer: oci.Layer, given: Iterable[Needle]) -> Iterator[tuple[str, Needle]]:
    with layer.open() as stream:
        for entry, content in tar.members(Measured(stream, streams.LAYER)):
            if content is not None:
                yield from ((entry.path, needle) for needle in _of_stream(content, given))


def _of_stream(stream: Readable, given: Iterable[Needle]) -> set[Needle]:
    leaked: set[Needle] = set()
    overlap = max((len(needle.content) for needle in given), default=0)
    data = b""
    while overlap and (more := stream.read(_CHUNK)):
        data = data[-overlap:] + more
        leaked.update(_in(data, given))
    return leaked


def _in(data: bytes, given: Iterable[Needle]) -> Iterator[Needle]:
    return (needle for needle in given if not needle.is_file and needle.content in data)


def _key(given: Sequence[Needle]) -> str:
    salt = modelpack_files.folder("leaks") / "salt"
    with suppress(FileExistsError), salt.open("xb") as file:
        file.write(os.urandom(16))
    contents = sorted(hashlib.sha256(needle.content).digest() for needle in given)
    return hashlib.scrypt(
        b"".join(contents), salt=salt.read_bytes(), n=2**14, r=8, p=1, dklen=16
    ).hex()
