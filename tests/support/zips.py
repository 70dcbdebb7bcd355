"""Zip archives and skops files, built byte by byte so that their headers may be wrong."""

import io
import json
import struct
import zipfile
import zlib

import numpy as np


def zip_archive(members):
    """Return an archive of `members` (name -> bytes) as zipfile writes it."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return memory.getvalue()


def member(name, data, *, flags=0, method=0, crc=None, size=None, mode=0o600, extra=b"", raw=None):
    """Return (header, content, entry) of a member; the entry lacks its offset (4 bytes)."""
    raw = data if raw is None else raw
    header_fields = (flags, method, 0, 0x21, zlib.crc32(data) if crc is None else crc, len(raw),
            len(data) if size is None else size, len(name), len(extra))  # fmt: skip
    header = b"PK\3\4" + struct.pack("<5H3I2H", 20, *header_fields) + name + extra
    entry = b"PK\1\2" + struct.pack("<6H3I5HI", 0x0314, 20, *header_fields, 0, 0, 0, mode << 16)
    return header, raw, entry, name + extra


def archive(*members, before=b"", between=b"", after=b"", comment=b"", count=None):
    data, directory = before, b""
    for header, raw, entry, tail in members:
        directory += entry + struct.pack("<I", len(data)) + tail
        data += header + raw + between
    claimed = len(members) if count is None else count
    end = struct.pack("<4H2IH", 0, 0, claimed, claimed, len(directory), len(data), len(comment))
    return data + directory + b"PK\5\6" + end + comment + after


def npy_bytes(array, **options):
    """Return the bytes of a .npy file."""
    memory = io.BytesIO()
    np.save(memory, array, **options)
    return memory.getvalue()


def npy(header, data=b"", version=b"\1\0"):
    """Return a .npy file with this text as its header."""
    text = header.encode("latin-1")
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + data


def json_state(content):
    return {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode",
            "content": json.dumps(content), "is_json": True}  # fmt: skip


def state(loader, key, **more):
    """Return a state of this kind that refers to "module:class"."""
    module, _, name = key.partition(":")
    return {"__class__": name, "__module__": module, "__loader__": loader, **more}


def dict_state(cls="builtins:dict", types=None, **pairs):
    kinds = [state("TypeNode", types or "builtins:str") for _ in pairs]
    keys = state("ListNode", "builtins:list", content=kinds)
    return state("DictNode", cls, content=pairs, key_types=keys)


def object_state(key, **attributes):
    return state("ObjectNode", key, content=dict_state(**attributes))


def tuple_state(*states):
    return state("TupleNode", "builtins:tuple", content=list(states))


def list_state(*states):
    return state("ListNode", "builtins:list", content=list(states))


def schema(root, protocol=2):
    return json.dumps({**root, "protocol": protocol, "_skops_version": "0.16.0"}).encode()


def skops(root, protocol=2, **members):
    """Return a skops file. In names of `members`, the last underscore means a dot."""
    named = {".".join(name.rsplit("_", 1)): data for name, data in members.items()}
    return zip_archive({**named, "schema.json": schema(root, protocol)})
