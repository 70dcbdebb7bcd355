"""Archives as PyTorch writes them, and changed copies of the sample program."""

from __future__ import annotations

import copy
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

SAMPLE = Path(__file__).parents[2] / "sample_models" / "torch-export" / "model.pt2"
PROGRAM, WEIGHTS = "models/model.json", "data/weights/model_weights_config.json"
SAMPLES = "data/sample_inputs/model.pt"


def archive(members: Mapping[str, bytes], root: str = "model", mode: int = 0) -> bytes:
    """Return an archive with the headers and the padding of PyTorch."""
    data, directory = bytearray(), bytearray()
    for name, content in members.items():
        path = f"{root}/{name}".encode() if root else name.encode()
        padding = -(len(data) + 30 + len(path) + 4) % 64
        numbers = (zlib.crc32(content), len(content), len(content))
        directory += struct.pack("<4s6H3I5H2I", b"PK\1\2", 0, 0, 0x808, 0, 0, 0, *numbers,
                                 len(path), 0, 0, 0, 0, mode << 16, len(data))  # fmt: skip
        directory += path
        data += struct.pack("<4s5H3I2H", b"PK\3\4", 0, 0x808, 0, 0, 0, 0, 0, 0,
                            len(path), padding + 4)  # fmt: skip
        data += path + b"FB" + struct.pack("<H", padding) + b"Z" * padding + content
        data += struct.pack("<4s3I", b"PK\7\x08", *numbers)
    count, offset = len(members), len(data)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(directory), offset, 0)
    return bytes(data + directory) + end


def members(data: bytes) -> dict[str, bytes]:
    """Return the members of an archive, without the name of its folder."""
    with zipfile.ZipFile(BytesIO(data)) as file:
        return {name.partition("/")[2]: file.read(name) for name in file.namelist()}


SAMPLE_MEMBERS = members(SAMPLE.read_bytes()) if SAMPLE.exists() else {}


def changed(member: str, change: Callable[[Any], None]) -> bytes:
    """Return the sample with a JSON document that a function has changed."""
    document = json.loads(SAMPLE_MEMBERS[member])
    change(document)
    return archive({**SAMPLE_MEMBERS, member: json.dumps(document).encode()})


Path_ = tuple[str | int, ...]


def texts(node: Any, path: Path_ = ()) -> Iterator[Path_]:
    """Yield the position of each text in a document, and of each key of an object."""
    if isinstance(node, str):
        yield path
    for key, value in node.items() if isinstance(node, dict) else ():
        yield from texts(value, (*path, key))
    for index, value in enumerate(node) if isinstance(node, list) else ():
        yield from texts(value, (*path, index))


def with_value(document: Any, path: Path_, value: Any) -> Any:
    """Return a copy of a document with another value at a position."""
    result = copy.deepcopy(document)
    node = result
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return result


def value_at(document: Any, path: Path_) -> Any:
    for key in path:
        document = document[key]
    return document
