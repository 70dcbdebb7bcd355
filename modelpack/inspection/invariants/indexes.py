"""Checks of indexes and one-dimensional arrays of pandas: their lengths and codes.

pandas compares the codes of a Categorical with its categories, those of a MultiIndex with its
levels, and a mask with its values when it builds these objects, but not when it unpickles them. Its
compiled routines use the codes as indices. See pandas/core/indexes/multi.py, `__reduce__`, and
pandas/_libs/arrays.pyx, `NDArrayBacked.__setstate__`.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..allowlist import contract_name, standing
from ..contracts import class_key
from ..nodes import DictNode, Global, Node, ObjectNode, Payload
from ..pickle.ndarrays import text_arrays
from .objects import (
    InvariantError,
    StoredArray,
    attributes,
    integer,
    named_attributes,
    require,
    stored_array,
)
from .scan import SIGNED, Scan, in_range, scan_values

_MAX_DEPTH = 4
_MIXED = "an array of pandas does not have the attributes of one release"
_CONTENTS = ("_ndarray", "_data", "_codes", "_mask")
"""The attributes of an array of pandas that contain numpy arrays, in any release."""

_DATES = (("_data",), ("_ndarray",))  # before pandas 1.3, and since then
_FORMS: dict[str, tuple[tuple[str, ...], ...]] = {
    "Categorical": (("_codes",), ("_ndarray",)),
    "DatetimeArray": _DATES,
    "PeriodArray": _DATES,
    "TimedeltaArray": _DATES,
    "StringArray": (("_ndarray",),),
    "BooleanArray": (("_data", "_mask"),),
    "FloatingArray": (("_data", "_mask"),),
    "IntegerArray": (("_data", "_mask"),),
}
"""The class of an array -> the attributes of its state in each release. A release reads one of
these forms: a state with two could contain one array for these checks and another for pandas.
"""


def index(node: ObjectNode) -> Iterator[Scan]:
    """`_new_Index(class, keywords)`: a MultiIndex has one code for each level and entry."""
    keywords = _keywords(node)
    if "levels" not in keywords and not _is_multi_index(node):
        return
    levels, codes = keywords.get("levels"), _codes_of(keywords)
    if not isinstance(levels, list) or len(levels) != len(codes):
        raise InvariantError(
            "an index of several levels does not have one list of codes for each level"
        )
    entries = None
    for level, level_codes in zip(levels, codes, strict=True):
        numbers = stored_array(level_codes, "the codes of an index")
        numbers.expect(SIGNED, entries)
        entries = numbers.size
        yield from _codes_below(numbers, index_length(level))


def pandas_array(node: ObjectNode) -> Iterator[Scan]:
    """An array of pandas, saved as an object or by Cython: its state has one form."""
    _require_one_form(node)
    yield from ()


def categorical(node: ObjectNode) -> Iterator[Scan]:
    """A Categorical, saved as an object or by Cython: its codes are those of its categories."""
    _require_one_form(node)
    codes, categories = _codes_and_categories(node)
    count = 0 if categories is None else index_length(categories)
    yield from _codes_below(stored_array(codes, "the codes of categories"), count)


def extension(node: ObjectNode) -> Iterator[Scan]:
    """An array of pandas that Cython rebuilds: the first argument is its class."""
    cls = node.args[0] if node.args else None
    is_categorical = isinstance(cls, Global) and cls.name == "Categorical"
    yield from categorical(node) if is_categorical else pandas_array(node)


def masked(node: ObjectNode) -> Iterator[Scan]:
    """Numbers, and a mask of the same shape that marks missing ones."""
    _require_one_form(node)
    state = attributes(node)
    if state:
        data = stored_array(state.get("_data"), "the values of an array")
        stored_array(state.get("_mask"), "the mask of an array").expect({"b1"}, *data.shape)
    yield from ()


def _require_one_form(node: ObjectNode) -> None:
    """Require the attributes of one release, and no array elsewhere in the state."""
    forms = _FORMS.get(array_class_key(node).rpartition(":")[2])
    if forms is None or not node.states:
        return
    state = _state_of(node)
    if isinstance(state, DictNode):
        values = named_attributes(state)
        found = tuple(name for name in sorted(_CONTENTS) if name in values)
        require(found in forms, _MIXED)
        require(not ("_dtype" in values and "_categories" in values), _MIXED)
        _require_cache(values, array_shape(values[found[0]]))
        return
    # Cython saves the dtype, the values, and a dict of the other attributes.
    more = [named_attributes(part) for part in state if isinstance(part, DictNode)]
    require(len(more) <= 1 and len(state) - len(more) == 2, _MIXED)
    for values in more:
        require(values.keys().isdisjoint({*_CONTENTS, "_categories", "_dtype"}), _MIXED)
        _require_cache(values, None)


def _require_cache(values: dict[str, Node], shape: tuple[int, ...] | None) -> None:
    """Require that the values that pandas 1.2 caches have the shape of the array."""
    cache = named_attributes(values["_cache"]) if isinstance(values.get("_cache"), DictNode) else {}
    held = [name for name in _CONTENTS if name in cache]
    fits = not held or (held == ["_ndarray"] and array_shape(cache["_ndarray"]) == shape)
    require(fits, "the cache of an array of pandas has other values than the array")


def index_length(node: Node) -> int | None:
    """Return the number of entries of an index, or None if a class must be trusted first.

    Raises:
        InvariantError: The node is not an index, or its length is missing.
    """
    if not isinstance(node, ObjectNode) or _is_unknown(node):
        require(isinstance(node, ObjectNode), "an axis is not an index")
        return None
    require(contract_name(node.cls.key) == "index", "an axis is not an index")
    shape = array_shape(node)
    require(shape is None or len(shape) == 1, "an index does not have one dimension")
    return shape[0] if shape is not None else None


def array_shape(node: Node, level: int = 0) -> tuple[int, ...] | None:
    """Return the shape of an array of numpy or pandas, or None, as `index_length` does."""
    require(level < _MAX_DEPTH, "arrays are nested in each other")
    if isinstance(node, Payload):
        return stored_array(node, "an array").shape
    if not isinstance(node, ObjectNode):
        raise InvariantError("a column is not an array")
    if _is_unknown(node):
        return None
    if node.cls.module.startswith("numpy."):
        return stored_array(node, "an array").shape
    return _shape_of_pandas(node, level)


def _shape_of_pandas(node: ObjectNode, level: int) -> tuple[int, ...] | None:
    contract = contract_name(node.cls.key)
    if contract == "index":
        return _shape_of_index(node, level)
    if array_class_key(node).endswith(":IntervalArray"):
        return array_shape(interval_ends(node)[0], level + 1)
    if contract == "extension":
        return _shape_of_extension(node, level)
    state = attributes(node)
    shape = _SHAPES.get(contract_name(class_key(node)) or "")
    return shape(state) if shape else _shape_of_attributes(state, level)


def _shape_of_index(node: ObjectNode, level: int) -> tuple[int, ...] | None:
    keywords = _keywords(node)
    if _is_multi_index(node):
        codes = _codes_of(keywords)
        require(bool(codes), "an index of several levels has no levels")
        return stored_array(codes[0], "the codes of an index").shape
    if "data" in keywords:
        return array_shape(keywords["data"], level + 1)
    if "left" in keywords:
        return array_shape(keywords["left"], level + 1)
    start, stop, step = (integer(keywords.get(name)) for name in ("start", "stop", "step"))
    if start is None or stop is None or not step:
        raise InvariantError("the length of an index is missing")
    return (max(0, -((start - stop) // step)),)  # as len(range(start, stop, step))


def _shape_of_extension(node: ObjectNode, level: int) -> tuple[int, ...] | None:
    state = _state_of(node)
    if isinstance(state, DictNode):
        return _shape_of_attributes(named_attributes(state), level)
    found = [part for part in state if _is_array(part)]
    require(len(found) == 1, "an array of pandas has no values")
    return stored_array(found[0], "an array").shape


def _shape_of_attributes(state: dict[str, Node], level: int) -> tuple[int, ...] | None:
    shapes = [array_shape(state[name], level + 1) for name in _CONTENTS if name in state]
    require(bool(shapes), "an array of pandas has no values")
    require(len(set(shapes)) == 1, "an array of pandas has values of two lengths")
    return shapes[0]


def interval_ends(node: ObjectNode) -> tuple[Node, Node]:
    """Return the two arrays of an array of intervals."""
    state = _state_of(node)
    found = named_attributes(state) if isinstance(state, DictNode) else {}
    fits = found.keys() in ({"_left", "_right", "_dtype"}, {"_left", "_right", "_closed"})
    require(fits, "an array of intervals does not have two ends")
    return found["_left"], found["_right"]


def _shape_of_sparse(state: dict[str, Node]) -> tuple[int, ...]:
    index = state.get("_sparse_index")
    count = integer(index.args[0]) if isinstance(index, ObjectNode) and index.args else None
    if count is None:
        raise InvariantError("a sparse column has no length")
    return (count,)


def _shape_of_arrow(state: dict[str, Node]) -> tuple[int, ...]:
    return (sum(map(_count_of_arrow, text_arrays(state.get("_pa_array", state.get("_data"))))),)


def _count_of_arrow(node: Node) -> int:
    arguments = node.args[0] if isinstance(node, ObjectNode) and len(node.args) == 1 else None
    count = integer(arguments[1]) if isinstance(arguments, tuple) and len(arguments) > 1 else None
    if count is None:
        raise InvariantError("an array of Arrow has no length")
    return count


_SHAPES = {
    "arrow_column": _shape_of_arrow,
    "arrow_strings": _shape_of_arrow,
    "sparse_column": _shape_of_sparse,
}


def _is_unknown(node: ObjectNode) -> bool:
    cls = array_class_key(node)
    return standing(node.cls.key) == "unknown" or standing(cls) == "unknown"


def array_class_key(node: ObjectNode) -> str:
    """Return the key of the class of a node; for a call, that of the array or index it builds."""
    is_call = contract_name(node.cls.key) in {"extension", "index"}
    cls = node.args[0] if is_call and node.args else None
    return cls.key if isinstance(cls, Global) else class_key(node)


def _is_array(node: Node) -> bool:
    return isinstance(node, Payload) or (
        isinstance(node, ObjectNode) and contract_name(node.cls.key) in {"array", "buffer"}
    )


def _is_multi_index(node: ObjectNode) -> bool:
    return array_class_key(node).endswith(":MultiIndex")


def _keywords(node: ObjectNode) -> dict[str, Node]:
    keywords = node.args[1] if len(node.args) == 2 else None
    return named_attributes(keywords, "the state of an index")


def _codes_of(keywords: dict[str, Node]) -> list[Node]:
    found = [keywords[name] for name in ("codes", "labels") if name in keywords]
    require(len(found) == 1, "an index of several levels has no codes")
    require(isinstance(found[0], list), "an index of several levels has no codes")
    return list(found[0])


def _codes_and_categories(node: ObjectNode) -> tuple[Node, Node]:
    state = _state_of(node)
    if isinstance(state, tuple):
        codes = [part for part in state if _is_array(part)]
        dtype = [part for part in state if isinstance(part, ObjectNode) and not _is_array(part)]
        require(len(codes) == len(dtype) == 1, "a categorical has no codes or no categories")
        return codes[0], attributes(dtype[0]).get("categories")
    values = named_attributes(state)
    numbers = values.get("_codes", values.get("_ndarray"))
    kind = values.get("_dtype")
    if isinstance(kind, ObjectNode):
        return numbers, attributes(kind).get("categories")
    return numbers, values.get("_categories")  # before pandas 0.21


def _state_of(node: ObjectNode) -> DictNode | tuple[Node, ...]:
    """Return a dict, which Cython may wrap in a tuple, or the values and the dtype."""
    state = node.states[0] if len(node.states) == 1 else None
    if isinstance(state, tuple) and len(state) == 1:
        state = state[0]
    if not isinstance(state, DictNode | tuple):
        raise InvariantError("an array of pandas has no values")
    return state


def _codes_below(numbers: StoredArray, count: int | None) -> Iterator[Scan]:
    """Require codes below `count`; -1 is a missing value."""
    numbers.expect(SIGNED, *numbers.shape)
    if count is not None:
        yield scan_values(numbers, in_range(numbers, count, least=-1))
