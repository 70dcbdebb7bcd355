"""Models in the formats of their own libraries, with a few numbers, texts or parts changed."""

from __future__ import annotations

import json
import random
import re
import struct
import tempfile
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import xgboost

from modelpack.inspection.encodings import ubjson

from . import models, protobufs
from .values import FLOATS, INTEGERS, TEXTS, changed_bytes

_ROOT = Path(__file__).parents[2]
_SAMPLES, _DATA = _ROOT / "sample_models", _ROOT / "tests" / "data" / "native"
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_SMALL = 2**16
"""Words below this are likely counts, numbers of nodes, or offsets."""


def _xgboost(name: str, form: str) -> bytes:
    model = models.fit(name)
    return bytes(model.get_booster().save_raw(form))


def _dart() -> bytes:
    options = {"booster": "dart", "nthread": 1, "rate_drop": 0.5}
    matrix = xgboost.DMatrix(models.X, models.TWO)
    return bytes(xgboost.train(options, matrix, 3).save_raw("json"))


def _linear() -> bytes:
    matrix = xgboost.DMatrix(models.X, models.TWO)
    return bytes(xgboost.train({"booster": "gblinear", "nthread": 1}, matrix, 3).save_raw("json"))


def _categories() -> bytes:
    matrix = xgboost.DMatrix(
        models.CODES, models.Y, feature_types=["q", "q", "c", "c"], enable_categorical=True
    )
    options = {"max_cat_to_onehot": 1, "nthread": 1, "tree_method": "hist"}
    return bytes(xgboost.train(options, matrix, 3).save_raw("ubj"))


def _lightgbm(name: str) -> bytes:
    model = models.fit(name)
    return getattr(model, "booster_", model).model_to_string().encode()


def _catboost(name: str, form: str = "cbm", **options: Any) -> bytes:
    model = models.fit(name)
    if options:
        model = type(model)(**models.BOOSTED, **options).fit(models.X, models.Y)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        model.save_model(str(path), format=form)
        return path.read_bytes()


FILES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "xgboost document": ("xgboost json", lambda: _xgboost("xgboost", "json")),
    "named xgboost document": ("xgboost json", lambda: _xgboost("named xgboost", "json")),
    "dart document": ("xgboost json", _dart),
    "linear document": ("xgboost json", _linear),
    "xgboost file": ("xgboost ubj", lambda: _xgboost("xgboost of numbers", "ubj")),
    "categories of xgboost": ("xgboost ubj", _categories),
    "old xgboost file": ("xgboost binary", (_DATA / "kserve-xgboost-2.0.bst").read_bytes),
    "older xgboost file": ("xgboost binary", (_DATA / "kserve-xgboost-1.1.bst").read_bytes),
    "lightgbm text": ("lightgbm text", lambda: _lightgbm("lightgbm")),
    "categories of lightgbm text": (
        "lightgbm text", lambda: _lightgbm("categories of lightgbm")),
    "lightgbm text of numbers": ("lightgbm text", lambda: _lightgbm("lightgbm of numbers")),
    "catboost file": ("catboost cbm", lambda: _catboost("catboost")),
    "categories of catboost file": (
        "catboost cbm", lambda: _catboost("categories of catboost")),
    "uneven catboost file": (
        "catboost cbm", lambda: _catboost("catboost of numbers", grow_policy="Lossguide")),
    "onnx sample": ("onnx", (_SAMPLES / "onnx" / "model.onnx").read_bytes),
    "onnx of fixed rows": ("onnx", (_DATA / "logreg_iris.onnx").read_bytes),
    "onnx trees": ("onnx", lambda: _catboost("catboost", "onnx")),
    "onnx trees of numbers": ("onnx", lambda: _catboost("catboost of numbers", "onnx")),
    "onnx network": ("onnx", protobufs.network),
    "onnx vectors": ("onnx", protobufs.vectors),
}  # fmt: skip
"""By name: the encoding, and what makes the bytes."""
UNREAD = ("xgboost binary",) if int(xgboost.__version__.split(".")[0]) >= 3 else ()
"""Encodings that pass and that the installed library does not read: XGBoost from 3.1 on."""
ENCODINGS = tuple(dict.fromkeys(encoding for encoding, _ in FILES.values()))


def original(name: str) -> bytes:
    return FILES[name][1]()


def rows(name: str) -> Sequence[Any]:
    if name == "onnx sample":
        return [[1.0, 20.0, "monthly"]] * 3
    if name == "onnx of fixed rows":
        return models.X[:5, :2].tolist()
    if name == "categories of catboost file":
        return models.rows("categories of catboost")
    return (models.CODES if name.startswith("categories") else models.X)[:5].tolist()


def mutated(encoding: str, data: bytes, foreign: bytes, chance: random.Random) -> tuple[bytes, str]:
    """Return the bytes of a changed file, and the changes in words. `foreign`: of another model."""
    if chance.random() < 0.08:
        return changed_bytes(data, chance), "bytes"
    if encoding == "onnx":
        return protobufs.changed(data, foreign, chance)
    if encoding == "lightgbm text":
        return _text(data.decode(), foreign.decode(), chance)
    if encoding in {"xgboost json", "xgboost ubj"}:
        return _document(encoding, data, foreign, chance)
    return _change_bytes(data, chance)


# --- documents of XGBoost ------------------------------------------------------------------------


def _document(encoding: str, data: bytes, foreign: bytes, chance: Any) -> tuple[bytes, str]:
    read = json.loads if encoding == "xgboost json" else ubjson.loads
    document, other, notes = read(data), read(foreign), []
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        groups: dict[str, list[tuple[Any, Any]]] = {}
        for holder, key, label in _positions(document, "document"):
            groups.setdefault(label, []).append((holder, key))
        label = chance.choice(sorted(groups))
        holder, key = chance.choice(groups[label])
        if chance.random() < 0.15:
            same = [owner[k] for owner, k, found in _positions(other, "document") if found == label]
            holder[key] = chance.choice([*same, holder[key]])
        elif isinstance(holder, dict) and chance.random() < 0.1:
            del holder[key]
        else:
            holder[key] = _part(holder[key], chance)
        notes.append(label)
    if encoding == "xgboost ubj":
        return _ubjson(document), "; ".join(notes)
    text = json.dumps(document)
    if chance.random() < 0.05:  # a duplicate name
        start = chance.choice([found.start() for found in re.finditer('"tree_param": ', text)])
        text = text[:start] + f'"num_nodes": "{chance.choice(INTEGERS)}", ' + text[start:]
    return text.encode(), "; ".join(notes)


def _positions(node: Any, label: str) -> Any:
    """Yield each holder with a key, and the last name on the way to it."""
    parts = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in list(parts):
        name = key if isinstance(key, str) else f"{label} item"
        yield node, key, name
        is_of_numbers = isinstance(value, list) and not isinstance(value[:1], str)
        if isinstance(value, dict) or (is_of_numbers and value):
            yield from _positions(value, name)
        elif isinstance(value, array):
            yield from ((value, index, f"{name} item") for index in range(len(value)))


def _part(value: Any, chance: random.Random) -> Any:
    if isinstance(value, str):
        if _NUMBER.fullmatch(value):
            near = str(int(float(value)) + chance.choice((1, -1)))
            return chance.choice((near, str(chance.choice((*INTEGERS, *FLOATS)))))
        return chance.choice((chance.choice(TEXTS), value[:-1], ""))
    if isinstance(value, list | array):
        return chance.choice((value[:-1], value[1:], value + value[:1], value * 2, value[::-1]))
    if isinstance(value, dict):
        return dict(list(value.items())[:-1])
    if isinstance(value, int):
        near = value + chance.choice((1, -1, 2))
        return chance.choice((near, chance.choice(INTEGERS), chance.choice(INTEGERS)))
    return chance.choice((*FLOATS, 2.0))


def _ubjson(value: Any) -> bytes:
    if isinstance(value, dict):
        return b"{" + b"".join(_sized(k.encode()) + _ubjson(v) for k, v in value.items()) + b"}"
    if isinstance(value, array):
        mark = {"b": "i", "B": "U", "h": "I", "i": "l", "q": "L", "f": "d", "d": "D"}
        head = f"[${mark[value.typecode]}#L".encode() + struct.pack(">q", len(value))
        return head + struct.pack(f">{len(value)}{value.typecode}", *value)
    if isinstance(value, list):
        return b"[#L" + struct.pack(">q", len(value)) + b"".join(map(_ubjson, value))
    if isinstance(value, str):
        return b"S" + _sized(value.encode())
    if isinstance(value, float):
        return b"d" + struct.pack(">f", value)
    constants = {True: b"T", False: b"F", None: b"Z"}
    is_constant = isinstance(value, bool) or value is None
    return constants[value] if is_constant else b"L" + struct.pack(">q", value)


def _sized(content: bytes) -> bytes:
    return b"L" + struct.pack(">q", len(content)) + content


# --- lines of LightGBM ---------------------------------------------------------------------------


def _text(text: str, foreign: str, chance: random.Random) -> tuple[bytes, str]:
    lines, others, notes = text.split("\n"), foreign.split("\n"), []
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        names: dict[str, list[int]] = {}
        for index, line in enumerate(lines):
            names.setdefault(re.split("[=:]", line)[0], []).append(index)
        name = chance.choice(sorted(names))
        index, kind = chance.choice(names[name]), chance.randrange(10)
        if kind == 0:
            del lines[index]
        elif kind == 1:
            lines.insert(chance.randrange(len(lines)), lines[index])
        elif kind == 2:
            same = [each for each in others if re.split("[=:]", each)[0] == name]
            lines[index] = chance.choice([*same, ""])
        else:
            lines[index] = _line(lines[index], chance)
        notes.append(f"line {name[:30]}")
    joined = "\n".join(lines)
    if chance.random() < 0.6:
        joined = _with_sizes(joined)
    return joined.encode(), "; ".join(notes)


def _line(line: str, chance: random.Random) -> str:
    head, sign, value = line.partition("=")
    numbers = list(_NUMBER.finditer(value))
    kind = chance.randrange(6)
    if numbers and kind < 4:
        at = chance.choice(numbers)
        near = float(at[0]) + chance.choice((1, -1)) if len(at[0]) < 15 else 0
        whole = int(near) if abs(near) < 2**60 else 0  # NaN is not below
        new = chance.choice((str(whole), str(whole), str(chance.choice((*INTEGERS, *FLOATS)))))
        return head + sign + value[: at.start()] + new + value[at.end() :]
    words = value.split(" ")
    changed = chance.choice((words[:-1], words[1:], words * 2, words[::-1], [chance.choice(TEXTS)]))
    return head + sign + " ".join(changed)


def _with_sizes(text: str) -> str:
    """Return the text with the sizes that its trees have, so that other changes are reached."""
    _, *trees = re.split(r"(?=^Tree=)", text.partition("end of trees")[0], flags=re.M)
    sizes = " ".join(str(len(tree.encode())) for tree in trees)
    return re.sub(r"^tree_sizes=.*$", f"tree_sizes={sizes}", text, count=1, flags=re.M)


# --- words of binary files -----------------------------------------------------------------------


def _change_bytes(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    notes, start = [], max(0, data.find(b"gbtree") + len("gbtree")) % 4
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        offsets = range(start, len(data) - 8, 4)
        index = chance.choice(offsets)
        if chance.random() < 0.8:
            words = struct.unpack_from(f"<{len(offsets)}I", data, start)
            small = [at for at, word in zip(offsets, words, strict=True) if 0 < word < _SMALL]
            index = chance.choice(small or list(offsets))
        (word,) = struct.unpack_from("<I", data, index)
        near = word + chance.choice((1, -1, 2, -2, 4, -4, word))
        kind = chance.randrange(8)
        if kind < 5:
            new = struct.pack("<I", chance.choice((near, near, *INTEGERS)) % 2**32)
        elif kind == 5:
            new = struct.pack("<d", chance.choice(FLOATS))
        elif kind == 6:
            new = struct.pack("<Q", chance.choice(INTEGERS) % 2**64)
        else:
            other = chance.choice(offsets)
            new = data[other : other + 4 * chance.choice((1, 2, 3))]
        data = data[:index] + new + data[index + len(new) :]
        notes.append(f"word {word} at {index}")
    return data, "; ".join(notes)
