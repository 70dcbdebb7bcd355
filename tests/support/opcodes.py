"""Pickles assembled from opcodes. The arguments are harmless, and no test loads them."""

import struct

EMPTY_TUPLE, EMPTY_DICT, EMPTY_LIST, NONE, MARK = b")", b"}", b"]", b"N", b"("
REDUCE, NEWOBJ, NEWOBJ_EX, BUILD, POP, MEMOIZE = b"R", b"\x81", b"\x92", b"b", b"0", b"\x94"
STACK_GLOBAL, SETITEM, SETITEMS, APPEND, APPENDS = b"\x93", b"s", b"u", b"a", b"e"
TUPLE, TUPLE1, TUPLE2, TUPLE3, STOP = b"t", b"\x85", b"\x86", b"\x87", b"."
TRUE, FALSE = b"\x88", b"\x89"


def text(value: str) -> bytes:
    data = value.encode("utf-8", "surrogatepass")
    return b"\x8c" + bytes([len(data)]) + data if len(data) < 256 else b"X" + u4(len(data)) + data


def u4(value: int) -> bytes:
    return struct.pack("<I", value)


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def raw(value: bytes) -> bytes:
    return b"B" + u4(len(value)) + value


def name(key: str) -> bytes:
    """Return STACK_GLOBAL of "module:name"."""
    module, _, qualname = key.partition(":")
    return text(module) + text(qualname) + STACK_GLOBAL


def many(*values: bytes) -> bytes:
    return MARK + b"".join(values) + TUPLE


def table(**pairs: bytes) -> bytes:
    items = b"".join(text(key) + value for key, value in pairs.items())
    return EMPTY_DICT + MARK + items + SETITEMS


def call(key: str, *args: bytes) -> bytes:
    return name(key) + many(*args) + REDUCE


def new(key: str, **state: bytes) -> bytes:
    created = name(key) + EMPTY_TUPLE + NEWOBJ
    return created + table(**state) + BUILD if state else created


def old(key: str) -> bytes:
    """Return an object as protocols 0 and 1 create it."""
    return call("copyreg:_reconstructor", name(key), name("builtins:object"), NONE)


def pickled(body: bytes, protocol: int = 4) -> bytes:
    return b"\x80" + bytes([protocol]) + body + STOP


def framed(body: bytes) -> bytes:
    body += STOP
    return b"\x80\x04\x95" + struct.pack("<Q", len(body)) + body


def dtype(
    code: str,
    *,
    size: int = -1,
    flags: int | None = None,
    subarray: bytes = NONE,
    fields: bytes = NONE,
) -> bytes:
    """Return a dtype as numpy pickles it, if the arguments fit."""
    names = NONE if fields == NONE else EMPTY_TUPLE
    flags_used = (63 if code[0] == "O" else 0) if flags is None else flags
    state = many(number(3), text("<"), subarray, names, fields, number(size), number(-1),
                 number(flags_used))  # fmt: skip
    return call("numpy:dtype", text(code), FALSE, TRUE) + state + BUILD


def wrapper(kind: str | bytes, shape: bytes, **more: bytes) -> bytes:
    """joblib's wrapper of an array; the bytes of the array have to follow."""
    return new(
        "joblib.numpy_pickle:NumpyArrayWrapper",
        subclass=name("numpy:ndarray"),
        shape=shape,
        order=text("C"),
        dtype=dtype(kind) if isinstance(kind, str) else kind,
        **more,
    )


SYSTEM = call("posix:system", text("true"))
"""os.system("true"), as os.system is pickled on Linux."""

SCALER = "sklearn.preprocessing._data:StandardScaler"
