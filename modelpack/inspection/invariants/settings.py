"""Settings that start threads or processes, claim memory, or end the process at prediction.

scikit-learn checks the parameters of an estimator when it is fitted, and not when it predicts.
"""

from __future__ import annotations

import string
from collections.abc import Iterator

from ..nodes import DictNode, ObjectNode
from ..pickle.ndarrays import scalar
from . import estimators
from .objects import attributes, integer, named_attributes, require
from .scan import Scan

_MAX_THREADS = 4096
"""No machine on which models are trained has more processors."""

_MAX_PROCESSES = 128  # as HashingEncoder itself accepts
_METHODS = {"fork", "forkserver", "spawn"}
_OUTPUTS = {"default", "pandas", "polars"}
_FIELDS = {"transformer_name", "feature_name"}
_MAX_FORMAT_LENGTH = 1_000


def hashing(node: ObjectNode) -> Iterator[Scan]:
    """`FeatureHasher` and `HashingVectorizer`: compiled code divides by the number of columns."""
    state = attributes(node)
    if "n_features" in state:
        count = integer(state["n_features"])
        fits = count is not None and 0 < count < 2**31
        require(fits, "its number of columns (n_features) is not a positive 32-bit integer")
    yield from ()


def centres(node: ObjectNode) -> Iterator[Scan]:
    """`KMeans` and its kind start as many threads of OpenMP as they had in training."""
    state = attributes(node)
    if "_n_threads" in state:
        count = integer(state["_n_threads"])
        fits = count is not None and 0 < count <= _MAX_THREADS
        require(fits, f"its number of threads is not between 1 and {_MAX_THREADS:,}")
    return estimators.centres(node)


def processes(node: ObjectNode) -> Iterator[Scan]:
    """`HashingEncoder` starts processes at prediction. The service sets `max_process` to 1."""
    state = attributes(node)
    if "max_process" in state:
        count = integer(state["max_process"])
        fits = count is not None and 0 < count <= _MAX_PROCESSES
        require(fits, f"its number of processes is not between 1 and {_MAX_PROCESSES}")
    method = state.get("process_creation_method", "fork")
    fits = type(method) is str and method in _METHODS
    require(fits, "process_creation_method is not a method to create processes")
    yield from ()


def names_of_columns(node: ObjectNode) -> Iterator[Scan]:
    """`ColumnTransformer` formats the name of each column if `verbose_feature_names_out` is a
    text: a width claims memory, and an attribute reads from the object.
    """
    text = scalar(attributes(node).get("verbose_feature_names_out"))
    require(not isinstance(text, str) or _is_plain(text), "its format of names has other fields")
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
    """Require that `set_output` set one of the containers that scikit-learn has.

    Raises:
        Broken: The setting is something else.
    """
    for state in node.states:
        pairs = zip(state.keys, state.values, strict=True) if isinstance(state, DictNode) else ()
        for key, value in pairs:
            if type(key) is str and key == "_sklearn_output_config":
                settings = named_attributes(value, key)
                fits = settings.keys() <= {"transform"} and all(
                    type(each) is str and each in _OUTPUTS for each in settings.values()
                )
                require(fits, "its output is not default, pandas or polars")
