"""What the estimators of a file were given as parameters, where it matters to who serves them."""

from __future__ import annotations

from collections.abc import Iterable

from ..arrays import scalar
from ..machine import Trace
from ..nodes import Dct, Global, Node, Obj, within
from .parts import Part, as_part, attributes

_LEVELS = 5
_JOBS = ("n_jobs", "nthread", "thread_count", "num_threads")


def estimators(trace: Trace) -> list[Part]:
    """Every estimator of the file, inner ones too."""
    return list(filter(None, map(as_part, trace.objects)))


def n_jobs(parts: Iterable[Part]) -> int | None:
    """The most that an estimator asks for: -1 where one asks for all; None where none asks."""
    told = [scalar(part.attributes.get(name)) for part in parts for name in _JOBS]
    counts = [n for n in told if type(n) is int and n != 0]
    return -1 if any(n < 0 for n in counts) else max(counts, default=None)


def callables(parts: Iterable[Part]) -> tuple[str, ...]:
    """The "module:name" of the functions that estimators were given, sorted."""
    given = [
        value
        for part in parts
        for name, value in part.attributes.items()
        if not name.startswith("_")
    ]
    held = (node for node in within(given, _LEVELS, _held) if isinstance(node, Global))
    return tuple(sorted({name.key for name in held if _is_function(name)}))


def _held(node: Node) -> list[Node]:
    """What is in collections, `partial` and the scorers of scikit-learn."""
    if isinstance(node, list | tuple):
        return list(node)
    if isinstance(node, Dct):
        return node.values
    if not isinstance(node, Obj):
        return []
    is_scorer = node.cls.module.startswith("sklearn.metrics")
    return list(attributes(node).values() if is_scorer else node.args)


def _is_function(name: Global) -> bool:
    """Told by how Python names functions and classes; numpy's types are written like functions."""
    last = name.name.rpartition(".")[2].lstrip("_")
    is_type = name.module == "numpy" and last.rstrip("_0123456789") in _NUMPY_TYPES
    return last[:1].islower() and not is_type and name.module not in {"builtins", "__builtin__"}


_NUMPY_TYPES = {"bool", "bytes", "complex", "dtype", "float", "int", "longdouble", "longlong",
                "ndarray", "object", "str", "uint", "ulonglong", "void"}  # fmt: skip
