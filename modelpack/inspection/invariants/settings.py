"""Checks of settings that start threads or processes, allocate memory, or end the process.

scikit-learn validates the parameters of an estimator when it is fitted, but not when it predicts.
"""

from __future__ import annotations

import string
from collections.abc import Iterator

from ..nodes import DictNode, Node, ObjectNode
from ..pickle.ndarrays import scalar
from . import estimators
from .objects import attributes, integer, named_attributes, require
from .scan import Scan

_MAX_THREADS = 4096
"""More than the processors of any machine that trains models."""

_MAX_PROCESSES = 128  # the maximum of HashingEncoder itself
_METHODS = {"fork", "forkserver", "spawn"}
_OUTPUTS = {"default", "pandas", "polars"}
_FIELDS = {"transformer_name", "feature_name"}
_MAX_FORMAT_LENGTH = 1_000


def hashing(node: ObjectNode) -> Iterator[Scan]:
    """`FeatureHasher` and `HashingVectorizer`: compiled code divides by the number of columns."""
    _require_count(attributes(node), "n_features", 2**31 - 1)
    yield from ()


def centres(node: ObjectNode) -> Iterator[Scan]:
    """`KMeans` and its variants start as many OpenMP threads as in training."""
    _require_count(attributes(node), "_n_threads", _MAX_THREADS)
    return estimators.centres(node)


def processes(node: ObjectNode) -> Iterator[Scan]:
    """`HashingEncoder` starts processes at prediction. The service sets `max_process` to 1."""
    state = attributes(node)
    _require_count(state, "max_process", _MAX_PROCESSES)
    method = state.get("process_creation_method", "fork")
    fits = type(method) is str and method in _METHODS
    require(fits, "process_creation_method is not a method to create processes")
    yield from ()


def _require_count(state: dict[str, Node], name: str, maximum: int) -> None:
    if name in state:
        count = integer(state[name])
        fits = count is not None and 0 < count <= maximum
        require(fits, f"{name} is not an integer between 1 and {maximum:,}")


def column_names(node: ObjectNode) -> Iterator[Scan]:
    """`ColumnTransformer` uses a text in `verbose_feature_names_out` as the format of column names.

    A width in the format allocates memory, and a field can read attributes of objects.
    """
    text = scalar(attributes(node).get("verbose_feature_names_out"))
    fits = not isinstance(text, str) or _is_plain(text)
    require(fits, "its format of names has fields other than the names")
    yield from ()


def _is_plain(text: str) -> bool:
    try:
        fields = list(string.Formatter().parse(text)) if len(text) <= _MAX_FORMAT_LENGTH else [None]
    except ValueError:
        return False
    return all(
        field is not None
        and (field[1] is None or (field[1] in _FIELDS and not field[2] and field[3] is None))
        for field in fields
    )


def require_known_output(node: ObjectNode) -> None:
    """Raise InvariantError unless the setting is a container that `set_output` accepts."""
    for state in node.states:
        pairs = zip(state.keys, state.values, strict=True) if isinstance(state, DictNode) else ()
        for key, value in pairs:
            if type(key) is str and key == "_sklearn_output_config":
                settings = named_attributes(value, key)
                fits = settings.keys() <= {"transform"} and all(
                    type(each) is str and each in _OUTPUTS for each in settings.values()
                )
                require(fits, "its output is not default, pandas or polars")
