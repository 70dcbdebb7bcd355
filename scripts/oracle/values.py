"""Values that take the place of those of a model: of the same kind, or of another."""

from __future__ import annotations

import os
import random
import re
from typing import Any

import numpy as np
from scipy import sparse, stats
from sklearn import metrics, neighbors, preprocessing
from sklearn.linear_model import LogisticRegression
from sklearn.utils import check_array

CANARY = "oracle_canary"
"""A name that nothing has: what looks it up, imports or opens it shows that it does."""

INTEGERS = (
    -1, 0, 1, 2, 3, 7, 63, 64, 127, 255, 256, 1000, 65_537, 10**6, 2**31 - 1, 2**31, -(2**31),
    2**32, 2**62, 2**63 - 1, -(2**63), 2**64,
)  # fmt: skip
FLOATS = (
    0.0, -0.0, 1.0, -1.0, 0.5, 1e-300, 1e300, -1e300, float("inf"), float("-inf"), float("nan"),
    2.0**31, 2.0**53, 2.0**63, -(2.0**63),
)  # fmt: skip
TEXTS = (
    CANARY, f"/tmp/{CANARY}", f"{CANARY}.{CANARY}", f"{CANARY}:{CANARY}",
    f"__import__('{CANARY}')", f"{{0.{CANARY}}}", f"@{CANARY}", f"file://{CANARY}", f"%({CANARY})s",
    "", "auto", "predict", "predict_proba", "decision_function", "transform", "fit", "__class__",
    "__dict__", "__reduce__", "tofile", "dump", "save_model", "to_pickle", "query", "eval",
    "precomputed", "kd_tree", "ball_tree", "brute", "minkowski", "euclidean", "haversine",
    "mahalanobis", "cosine", "manhattan", "filename", "file", "content", "drop", "passthrough",
    "ignore", "error", "infrequent_if_exist", "constant", "mean", "most_frequent", "rbf", "linear",
    "poly", "sigmoid", "soft", "hard", "raw", "x" * 3000, "\0", "\ud7ff", "a\nb", "(a+)+$", "[",
    "d ~ a", f"d ~ {CANARY}", f"d ~ np.{CANARY}(a)", "d ~ np.exp(a) + b", "d ~ bs(a, df=4)",
    "d ~ Q('a')", f"d ~ __import__('{CANARY}')", "float32", "float64", "object", "int8", "|O",
    "csr", "csc", "dense", "uniform", "distance", "quantile", "onehot", "onehot-dense", "ordinal",
    "logistic", "softmax", "identity", "relu", "tanh", "multi:softprob", "gpu_hist", "gblinear",
    "dart", "ovr", "ovo", "multinomial", "word", "char", "char_wb", "l1", "l2", "pandas", "polars",
)  # fmt: skip
CALLABLES = (
    np.log1p, np.exp, np.ndarray, np.dtype, np.float32, np.float64, np.array, np.asarray, np.empty,
    np.frombuffer, np.fromfile, np.load, np.add, np.save, dict, list, len, print, str, float, int,
    bytes, object, type, getattr, eval, open, os.system, os.getcwd, check_array, stats.norm,
    sparse.csr_matrix, neighbors.KDTree, neighbors.BallTree, preprocessing.StandardScaler,
    LogisticRegression, metrics.accuracy_score, metrics.pairwise.rbf_kernel, random.random,
    np.random.default_rng, np.random.RandomState, np.linalg.norm, np.ufunc,
)  # fmt: skip
DTYPES = (
    "f4", "f8", ">f8", "f2", "i1", "i4", "i8", ">i8", "u1", "u8", "?", "O", "U3", "S4", "c16", "V8",
    "M8[ns]",
)  # fmt: skip
KEYS = (
    CANARY, "__class__", "__dict__", "__module__", "__setstate__", "__getattr__", "predict",
    "transform", "_validate_data", "_raw_predict", "classes_", "n_features_in_",
    "feature_names_in_", "n_outputs_", "n_classes_", "estimators_", "estimator_", "steps", "metric",
    "_fit_method", "_tree", "_fit_X", "dtype", "_sparse", "effective_metric_", "analyzer",
    "tokenizer", "preprocessor", "input", "encoding", "formula", "design_info", "kernel", "gamma",
    "_gamma", "_impl", "n_jobs", "copy", "func", "inverse_func", "stack_method_", "memory",
    "_sklearn_output_config", "response_method", "monotonic_cst", "missing_values", "base_margin",
)  # fmt: skip
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


def other(value: Any, chance: random.Random, pool: list[Any]) -> Any:
    """Return a replacement for `value`. `pool`: others of the same and of another model."""
    if pool and chance.random() < 0.2:
        return chance.choice(pool)
    for kind, make in _OTHERS:
        if isinstance(value, kind):
            return make(value, chance)
    if callable(value):
        return chance.choice(CALLABLES)
    simple = (None, True, 0, 1.5, (), [], {}, chance.choice(TEXTS), chance.choice(CALLABLES))
    return chance.choice((*simple, np.zeros(3), np.array(["a", 1], object)))


def _flag(value: bool, chance: random.Random) -> Any:
    return not value if chance.random() < 0.8 else chance.choice((2, "yes", None))


def _integer(value: int, chance: random.Random) -> Any:
    near = chance.choice((value + 1, value - 1, value * 2, -value))
    return chance.choice((chance.choice(INTEGERS), near, chance.choice(FLOATS)))


def _number(value: float, chance: random.Random) -> Any:
    return chance.choice((chance.choice(FLOATS), value * 2, -value, chance.choice(INTEGERS)))


def _bytes(value: bytes | bytearray, chance: random.Random) -> bytes | bytearray:
    return type(value)(changed_bytes(bytes(value), chance))


def text(value: str, chance: random.Random) -> str:
    if len(value) > 200:  # the trees of a booster
        return _changed_text(value, chance)
    return chance.choice((chance.choice(TEXTS), value[::-1], value + "x", value.upper(), value[1:]))


def _changed_text(value: str, chance: random.Random) -> str:
    numbers = list(_NUMBER.finditer(value))
    if numbers and chance.random() < 0.7:
        found = chance.choice(numbers)
        new = str(chance.choice((*INTEGERS, *FLOATS)))
        return value[: found.start()] + new + value[found.end() :]
    lines = value.split("\n")
    index = chance.randrange(len(lines))
    if chance.random() < 0.5:
        del lines[index]
    else:
        lines.insert(index, chance.choice(lines))
    return "\n".join(lines)


def changed_bytes(value: bytes, chance: random.Random) -> bytes:
    if not value:
        return b"\xff"
    index, kind = chance.randrange(len(value)), chance.randrange(5)
    if kind == 0:
        return value[:index]
    if kind == 1:
        number = chance.choice(INTEGERS) & (2**32 - 1)
        return (
            value[:index]
            + number.to_bytes(4, chance.choice(("little", "big")))
            + value[index + 4 :]
        )
    if kind == 2:
        return value[:index] + value[index + chance.randrange(1, 9) :]
    return value[:index] + bytes([chance.randrange(256)]) + value[index + 1 :]


_OTHERS: tuple[tuple[Any, Any], ...] = (
    (bool, _flag),
    (int, _integer),
    (float, _number),
    (str, text),
    (bytes | bytearray, _bytes),
)


def changed_array(array: np.ndarray, chance: random.Random) -> np.ndarray:
    """Return an array that numpy itself would write: of other values, shape or type."""
    with np.errstate(all="ignore"):
        return chance.choice(_CHANGES)(array, chance)


def _value(array: np.ndarray, chance: random.Random) -> np.ndarray:
    changed = array.copy()
    if not array.size:
        return changed
    for _ in range(chance.choice((1, 1, 2, 5))):
        index = chance.randrange(array.size)
        if array.dtype.names:
            field = chance.choice(array.dtype.names)
            flat = changed.reshape(-1)
            flat[field][index] = _item(flat[field].dtype, flat[field][index], chance)
        else:
            changed.flat[index] = _item(array.dtype, changed.flat[index], chance)
    return changed


def _item(dtype: np.dtype, item: Any, chance: random.Random) -> Any:
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        number = chance.choice((chance.choice(INTEGERS), int(item) + 1, int(item) - 1))
        return min(max(number, int(info.min)), int(info.max))
    if dtype.kind in "fc":
        return chance.choice((*FLOATS, float(np.real(item)) * 2))
    if dtype.kind == "O":
        return other(item, chance, [])
    return chance.choice(TEXTS)[:20] if dtype.kind == "U" else item


def _all(array: np.ndarray, chance: random.Random) -> np.ndarray:
    if array.dtype.kind not in "iufb":
        return array[::-1].copy()
    return np.full_like(array, _item(array.dtype, array.flat[0] if array.size else 0, chance))


def _size(array: np.ndarray, chance: random.Random) -> np.ndarray:
    if array.ndim == 0:
        return array.reshape(1)
    axis = chance.randrange(array.ndim)
    kept = range(array.shape[axis])
    kept = chance.choice(
        (kept[:-1], kept[1:], kept[:0], kept[:1], [*kept, *kept], [*kept, *kept[:1]])
    )
    return np.take(array, list(kept), axis=axis)


def _shape(array: np.ndarray, chance: random.Random) -> np.ndarray:
    ways = (array.T, array.ravel(), array[None], array[..., None], array.reshape(-1, 1))
    return np.array(chance.choice(ways), order=chance.choice("CF"))


def _dtype(array: np.ndarray, chance: random.Random) -> np.ndarray:
    if array.dtype.names:
        return array.astype([(n, chance.choice(DTYPES[:8])) for n in array.dtype.names])
    return array.astype(chance.choice(DTYPES))


_CHANGES = (_value, _value, _value, _value, _all, _size, _size, _shape, _dtype)
