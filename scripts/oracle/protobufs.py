"""ONNX files with a few fields of the Protocol Buffers changed, and graphs made for that."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from typing import Any

from .values import FLOATS, INTEGERS, TEXTS

_SCHEMA: dict[str, dict[int, str]] = {
    "model": {7: "graph", 8: "opset", 25: "function"},
    "graph": {1: "node", 5: "tensor", 11: "value", 12: "value", 13: "value"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph"},
    "value": {2: "type"},
    "type": {1: "tensor type", 4: "sequence", 5: "map"},
    "sequence": {1: "type"},
    "map": {2: "type"},
    "tensor type": {2: "shape"},
    "shape": {1: "dimension"},
}
"""Messages by the numbers of their fields: onnx/onnx.proto."""
_PACKED = {("tensor", 1), ("tensor", 5), ("tensor", 7), ("attribute", 8)}
_VARINT, _BYTES, _FOUR = 0, 2, 5
_MODEL = "model"
_OPERATOR = ("node", 4)
_OPERATORS = (
    "Abs", "Add", "ArgMax", "ArrayFeatureExtractor", "BatchNormalization", "Binarizer", "Cast",
    "CategoryMapper", "Clip", "Compress", "Concat", "ConstantOfShape", "Conv", "CumSum",
    "DictVectorizer", "Einsum", "Expand", "EyeLike", "FeatureVectorizer", "Flatten", "Gather",
    "GatherElements", "GatherND", "Gemm", "Identity", "If", "Imputer", "LSTM", "LabelEncoder",
    "LayerNormalization", "LinearClassifier", "LinearRegressor", "Loop", "MatMul", "MaxPool",
    "Normalizer", "OneHot", "OneHotEncoder", "Pad", "QLinearMatMul", "RandomNormal", "Range",
    "ReduceSum", "Relu", "Reshape", "Resize", "Scaler", "Scan", "ScatterElements", "ScatterND",
    "Slice", "Softmax", "Split", "Squeeze", "StringNormalizer", "SVMClassifier", "SVMRegressor",
    "TfIdfVectorizer", "Tile", "TopK", "Transpose", "TreeEnsemble", "TreeEnsembleClassifier",
    "TreeEnsembleRegressor", "Trilu", "Unique", "Unsqueeze", "Where", "ZipMap",
)  # fmt: skip
Field = list[Any]
"""Number, kind on the wire and value: an integer, bytes, or the fields of a message."""


def changed(data: bytes, foreign: bytes, chance: random.Random) -> tuple[bytes, str]:
    """Return the bytes of a changed model, and the changes in words."""
    message, notes = _parsed(data, _MODEL), []
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        groups: dict[tuple[Any, ...], list[tuple[list[Field], Field]]] = {}
        for label, holder, field in _sites(message, _MODEL, ""):
            groups.setdefault(label, []).append((holder, field))
        label = chance.choice(sorted(groups))
        holder, field = chance.choice(groups[label])
        kind = chance.choice(("value",) * 5 + ("dropped", "doubled", "other", "foreign"))
        others = [each for _, each in groups[label]]
        if kind == "foreign":
            sites = _sites(_parsed(foreign, _MODEL), _MODEL, "")
            others = [each for other_label, _, each in sites if other_label[:2] == label[:2]]
        if kind == "value" and not isinstance(field[2], list):
            field[2] = _value(field, label, chance)
        else:
            _change(kind, holder, field, others, chance)
        notes.append(f"{kind} {' '.join(map(str, label))}")
    return _written(message), "; ".join(notes)


def _change(
    kind: str, holder: list[Field], field: Field, others: list[Field], chance: random.Random
) -> None:
    offset = next(index for index, each in enumerate(holder) if each is field)
    if kind == "dropped":
        del holder[offset]
    elif kind == "doubled":
        holder.insert(chance.randrange(len(holder) + 1), field)
    elif kind != "value" and others:
        holder[offset] = chance.choice(others)
    elif field[2]:
        chance.choice((field[2].pop, field[2].clear, field[2].reverse))()


def _value(field: Field, label: Any, chance: random.Random) -> Any:
    _, wire, value = field
    if wire == _VARINT:
        near = chance.choice((value + 1, value - 1, value * 2, -value))
        return chance.choice((near, chance.choice(INTEGERS)))
    if label[:2] == _OPERATOR:
        return chance.choice(_OPERATORS).encode()
    if label[:2] in _PACKED:
        numbers = list(_varints(value))
        if numbers and chance.random() < 0.7:
            numbers[chance.randrange(len(numbers))] = chance.choice(INTEGERS)
        else:
            numbers = chance.choice((numbers[:-1], numbers * 2, numbers[::-1], []))
        return b"".join(map(_varint, numbers))
    if len(value) % 4 == 0 and value and (wire == _FOUR or chance.random() < 0.7):
        return _word(value, chance)
    return chance.choice((value[:-1], value * 2, value[::-1], chance.choice(TEXTS).encode()))


def _word(value: bytes, chance: random.Random) -> bytes:
    """Change 4 or 8 bytes, as a number of either kind."""
    if len(value) >= 8 and chance.random() < 0.5:
        offset = chance.randrange(len(value) // 8) * 8
        new = struct.pack("<Q", chance.choice(INTEGERS) % 2**64)
    else:
        offset = chance.randrange(len(value) // 4) * 4
        number = chance.choice([each for each in FLOATS if abs(each) < 1e38 or each - each != 0])
        new = chance.choice(
            (struct.pack("<f", number), struct.pack("<I", chance.choice(INTEGERS) % 2**32))
        )
    return value[:offset] + new + value[offset + len(new) :]


def _sites(message: list[Field], kind: str, name: str) -> Iterator[tuple[Any, Any, Field]]:
    """Yield a label of message, number and attribute for each field, its message, and itself."""
    if kind == "attribute":
        name = next((bytes(v).decode("utf-8", "replace") for n, _, v in message if n == 1), "")
    for field in message:
        yield (kind, field[0], name), message, field
        if isinstance(field[2], list):
            yield from _sites(field[2], _SCHEMA[kind][field[0]], name)


def _parsed(data: bytes, kind: str) -> list[Field]:
    found: list[Field] = []
    position = 0
    while position < len(data):
        key, position = _read_varint(data, position)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value: Any
            value, position = _read_varint(data, position)
        else:
            size, position = (
                _read_varint(data, position) if wire == _BYTES else ({5: 4, 1: 8}[wire], position)
            )
            value = data[position : position + size]
            position += size
            if wire == _BYTES and number in _SCHEMA.get(kind, {}):
                value = _parsed(value, _SCHEMA[kind][number])
        found.append([number, wire, value])
    return found


def _written(message: list[Field]) -> bytes:
    pieces = []
    for number, wire, value in message:
        pieces.append(_varint(number << 3 | wire))
        if wire == _VARINT:
            pieces.append(_varint(value))
        else:
            content = _written(value) if isinstance(value, list) else value
            pieces += [_varint(len(content)), content] if wire == _BYTES else [content]
    return b"".join(pieces)


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[position]
        number |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return number, position


def _varints(data: bytes) -> Iterator[int]:
    position = 0
    while position < len(data):
        number, position = _read_varint(data, position)
        yield number


def _varint(number: int) -> bytes:
    number, out = number % 2**64, bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


# --- graphs --------------------------------------------------------------------------------------


def network() -> bytes:
    """Return a graph of tensors: a row of 4 numbers, gathered, reshaped, multiplied and summed."""
    nodes = [
        _node("Gather", "X places", "picked", axis=1),
        _node("Reshape", "picked shape", "shaped"),
        _node("MatMul", "shaped weights", "hidden"),
        _node("Relu", "hidden", "positive"),
        _node("Slice", "positive starts ends axes", "sliced"),
        _node("TopK", "sliced count", "best order", axis=1),
        _node("Concat", "best sliced", "wide", axis=1),
        _node("Transpose", "wide", "turned", perm=[1, 0]),
        _node("ReduceSum", "turned axes0", "y", keepdims=0),
    ]
    numbers = [float(each) / 8 for each in range(12)]
    tensors = [
        _tensor("places", [2, 0, 3, 1], (4,)),
        _tensor("shape", [-1, 4], (2,)),
        _tensor("weights", numbers, (4, 3)),
        _tensor("starts", [0], (1,)),
        _tensor("ends", [2], (1,)),
        _tensor("axes", [1], (1,)),
        _tensor("count", [2], (1,)),
        _tensor("axes0", [0], (1,)),
    ]
    return _graph(nodes, tensors, "")


def vectors() -> bytes:
    """Return a graph of the operators for tables: a support vector machine of scaled numbers."""
    nodes = [
        _node("Scaler", "X", "scaled", offset=[0.5] * 4, scale=[2.0] * 4),
        _node("Normalizer", "scaled", "normal", norm=["L2"][0]),
        _node("ArrayFeatureExtractor", "normal places", "picked"),
        _node(
            "SVMRegressor", "picked", "y", coefficients=[1.0, -1.0], kernel_params=[0.5, 0.0, 3.0],
            kernel_type="RBF", n_supports=2, rho=[0.1], support_vectors=[0.25] * 8,
        ),
    ]  # fmt: skip
    return _graph(nodes, [_tensor("places", [3, 2, 1, 0], (1, 4))], "ai.onnx.ml")


def _graph(nodes: list[bytes], tensors: list[bytes], domain: str) -> bytes:
    nodes = [each + _bytes(7, domain.encode()) for each in nodes]
    parts = [_bytes(1, each) for each in nodes] + [_bytes(2, b"graph")]
    parts += [_bytes(5, each) for each in tensors]
    parts += [_bytes(11, _matrix("X", 4)), _bytes(12, _matrix("y", None))]
    opsets = b"".join(
        _bytes(8, _bytes(1, name.encode()) + _number(2, version))
        for name, version in (("", 17), ("ai.onnx.ml", 1))
    )
    return _number(1, 8) + _bytes(2, b"oracle") + _bytes(7, b"".join(parts)) + opsets


def _node(operator: str, inputs: str, outputs: str, **attributes: Any) -> bytes:
    parts = [_bytes(1, each.encode()) for each in inputs.split()]
    parts += [_bytes(2, each.encode()) for each in outputs.split()]
    parts += [_bytes(5, _attribute(*each)) for each in attributes.items()]
    return b"".join([*parts, _bytes(4, operator.encode())])


def _attribute(name: str, value: Any) -> bytes:
    if isinstance(value, int):
        content = _number(3, value) + _number(20, 2)
    elif isinstance(value, str):
        content = _bytes(4, value.encode()) + _number(20, 3)
    elif isinstance(value[0], float):
        content = b"".join(_varint(7 << 3 | 5) + struct.pack("<f", each) for each in value)
        content += _number(20, 6)
    else:
        content = b"".join(_number(8, each) for each in value) + _number(20, 7)
    return _bytes(1, name.encode()) + content


def _tensor(name: str, values: list[Any], shape: tuple[int, ...]) -> bytes:
    element, code = (1, "f") if isinstance(values[0], float) else (7, "q")
    sizes = b"".join(_number(1, size) for size in shape)
    raw = struct.pack(f"<{len(values)}{code}", *values)
    return sizes + _number(2, element) + _bytes(8, name.encode()) + _bytes(9, raw)


def _matrix(name: str, width: int | None) -> bytes:
    sizes = _bytes(1, _bytes(2, b"N"))
    if width:
        sizes += _bytes(1, _number(1, width))
    return _bytes(1, name.encode()) + _bytes(
        2, _bytes(1, _number(1, 1) + (_bytes(2, sizes) if width else b""))
    )


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(content)) + content
