"""Indexes and one-dimensional arrays of pandas: how long they are, and the codes that they hold.

pandas compares the codes of a Categorical with its categories, those of a MultiIndex with its
levels, and a mask with its values where these are made, and not when they are unpickled. Its
compiled routines then read at these codes. See pandas/core/indexes/multi.py, `__reduce__`, and
pandas/_libs/arrays.pyx, `NDArrayBacked.__setstate__`.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..allowlist import contract_name, standing
from ..contracts import class_key
from ..nodes import DictNode, Global, Node, ObjectNode, Payload
from .objects import InvariantError, Stored, attributes, integer, named, require, stored
from .scan import SIGNED, Scan, scan_values, within

_DEEPEST = 4
_MIXED = "an array of pandas has not the attributes that one release writes"
_CONTENTS = ("_ndarray", "_data", "_codes", "_mask")
"""The attributes of an array of pandas that hold numpy's arrays, in any release."""

_OF_MOMENTS = (("_data",), ("_ndarray",))  # before pandas 1.3, since then
_FORMS: dict[str, tuple[tuple[str, ...], ...]] = {
    "Categorical": (("_codes",), ("_ndarray",)),
    "DatetimeArray": _OF_MOMENTS,
    "PeriodArray": _OF_MOMENTS,
    "TimedeltaArray": _OF_MOMENTS,
    "StringArray": (("_ndarray",),),
    "BooleanArray": (("_data", "_mask"),),
    "FloatingArray": (("_data", "_mask"),),
    "IntegerArray": (("_data", "_mask"),),
}
"""The class of an array -> which of these attributes its state has. A release reads one form, so a
state with several could show another array than pandas reads.
"""


def index(made: ObjectNode) -> Iterator[Scan]:
    """`_new_Index(class, keywords)`: of a MultiIndex, one code for each level and entry."""
    facts = _facts(made)
    if "levels" not in facts and not _is_multiple(made):
        return
    levels, codes = facts.get("levels"), _codes_of(facts)
    if not isinstance(levels, list) or len(levels) != len(codes):
        raise InvariantError("an index of several levels has not one list of codes a level")
    entries = None
    for level, node in zip(levels, codes, strict=True):
        numbers = stored(node, "the codes of an index")
        numbers.expect(SIGNED, entries)
        entries = numbers.size
        yield from _below(numbers, index_length(level))


def pandas_array(made: ObjectNode) -> Iterator[Scan]:
    """An array of pandas, made as an object or by Cython: one form of its state."""
    _require_one_form(made)
    yield from ()


def categorical(made: ObjectNode) -> Iterator[Scan]:
    """A Categorical, made as an object or by Cython: codes and categories."""
    _require_one_form(made)
    codes, categories = _codes_and_categories(made)
    count = 0 if categories is None else index_length(categories)
    yield from _below(stored(codes, "the codes of categories"), count)


def extension(made: ObjectNode) -> Iterator[Scan]:
    """An array of pandas that Cython makes: its class is the first argument."""
    cls = made.args[0] if made.args else None
    is_categorical = isinstance(cls, Global) and cls.name == "Categorical"
    yield from categorical(made) if is_categorical else pandas_array(made)


def masked(made: ObjectNode) -> Iterator[Scan]:
    """Numbers, of which a mask marks those that are missing."""
    _require_one_form(made)
    state = attributes(made)
    if state:
        data = stored(state.get("_data"), "the values of an array")
        stored(state.get("_mask"), "the mask of an array").expect({"b1"}, *data.shape)
    yield from ()


def _require_one_form(made: ObjectNode) -> None:
    """Require the attributes that one release writes, and no array elsewhere in the state."""
    forms = _FORMS.get(made_key(made).rpartition(":")[2])
    if forms is None or not made.states:
        return
    state = _state_of(made)
    if isinstance(state, DictNode):
        told = named(state)
        found = tuple(name for name in sorted(_CONTENTS) if name in told)
        require(found in forms, _MIXED)
        require(not ("_dtype" in told and "_categories" in told), _MIXED)
        _require_cache(told, array_shape(told[found[0]]))
        return
    # Of Cython: the dtype, the values, and a dict of what else the object has.
    more = [named(part) for part in state if isinstance(part, DictNode)]
    require(len(more) <= 1 and len(state) - len(more) == 2, _MIXED)
    for told in more:
        require(told.keys().isdisjoint({*_CONTENTS, "_categories", "_dtype"}), _MIXED)
        _require_cache(told, None)


def _require_cache(told: dict[str, Node], shape: tuple[int, ...] | None) -> None:
    """Compare what pandas 1.2 keeps of its values in a cache with these, of the given shape."""
    cache = named(told["_cache"]) if isinstance(told.get("_cache"), DictNode) else {}
    held = [name for name in _CONTENTS if name in cache]
    fits = not held or (held == ["_ndarray"] and array_shape(cache["_ndarray"]) == shape)
    require(fits, "the cache of an array of pandas has other values than the array")


def index_length(node: Node) -> int | None:
    """Count the entries of an index.

    Returns:
        The count, or None if it depends on a class that has to be trusted.

    Raises:
        Broken: the node is no index, or does not tell its length.
    """
    if not isinstance(node, ObjectNode) or _is_unknown(node):
        require(isinstance(node, ObjectNode), "an axis is no index")
        return None
    require(contract_name(node.cls.key) == "index", "an axis is no index")
    shape = array_shape(node)
    require(shape is None or len(shape) == 1, "an index is no list")
    return shape[0] if shape is not None else None


def array_shape(node: Node, level: int = 0) -> tuple[int, ...] | None:
    """The shape of an array of numpy or pandas; None and `Broken` as for `index_length`."""
    require(level < _DEEPEST, "arrays are nested in each other")
    if isinstance(node, Payload):
        return stored(node, "an array").shape
    if not isinstance(node, ObjectNode):
        raise InvariantError("a column is no array")
    if _is_unknown(node):
        return None
    if contract_name(node.cls.key) == "index":
        return _shape_of_index(node, level)
    if contract_name(node.cls.key) == "extension":
        return _shape_of_extension(node, level)
    if node.cls.module.startswith("numpy."):
        return stored(node, "an array").shape
    state = attributes(node)
    is_texts = contract_name(class_key(node)) == "arrow_strings"
    return _shape_of_texts(state) if is_texts else _shape_of_attributes(state, level)


def _shape_of_index(node: ObjectNode, level: int) -> tuple[int, ...] | None:
    facts = _facts(node)
    if _is_multiple(node):
        codes = _codes_of(facts)
        require(bool(codes), "an index of several levels has none")
        return stored(codes[0], "the codes of an index").shape
    if "data" in facts:
        return array_shape(facts["data"], level + 1)
    if "left" in facts:
        return array_shape(facts["left"], level + 1)
    start, stop, step = (integer(facts.get(name)) for name in ("start", "stop", "step"))
    if start is None or stop is None or not step:
        raise InvariantError("an index does not tell its length")
    return (max(0, -((start - stop) // step)),)  # as len(range(start, stop, step))


def _shape_of_extension(node: ObjectNode, level: int) -> tuple[int, ...] | None:
    state = _state_of(node)
    if isinstance(state, DictNode):
        return _shape_of_attributes(named(state), level)
    found = [part for part in state if _is_array(part)]
    require(len(found) == 1, "an array of pandas has no values")
    return stored(found[0], "an array").shape


def _shape_of_attributes(state: dict[str, Node], level: int) -> tuple[int, ...] | None:
    shapes = [array_shape(state[name], level + 1) for name in _CONTENTS if name in state]
    require(bool(shapes), "an array of pandas has no values")
    require(len(set(shapes)) == 1, "an array of pandas has values of two lengths")
    return shapes[0]


def _shape_of_texts(state: dict[str, Node]) -> tuple[int, ...]:
    made = state.get("_pa_array", state.get("_data"))
    told = made.args[0] if isinstance(made, ObjectNode) and len(made.args) == 1 else None
    count = integer(told[1]) if isinstance(told, tuple) and len(told) > 1 else None
    if count is None:
        raise InvariantError("an array of texts has no length")
    return (count,)


def _is_unknown(node: ObjectNode) -> bool:
    cls = made_key(node)
    return standing(node.cls.key) == "unknown" or standing(cls) == "unknown"


def made_key(node: ObjectNode) -> str:
    """The class of an array that Cython makes or an index; of anything else that of the object."""
    is_told = contract_name(node.cls.key) in {"extension", "index"}
    cls = node.args[0] if is_told and node.args else None
    return cls.key if isinstance(cls, Global) else class_key(node)


def _is_array(node: Node) -> bool:
    return isinstance(node, Payload) or (
        isinstance(node, ObjectNode) and contract_name(node.cls.key) in {"array", "buffer"}
    )


def _is_multiple(made: ObjectNode) -> bool:
    return made_key(made).endswith(":MultiIndex")


def _facts(made: ObjectNode) -> dict[str, Node]:
    keywords = made.args[1] if len(made.args) == 2 else None
    return named(keywords, "the state of an index")


def _codes_of(facts: dict[str, Node]) -> list[Node]:
    found = [facts[name] for name in ("codes", "labels") if name in facts]
    require(len(found) == 1, "an index of several levels has no codes")
    require(isinstance(found[0], list), "an index of several levels has no codes")
    return list(found[0])


def _codes_and_categories(made: ObjectNode) -> tuple[Node, Node]:
    state = _state_of(made)
    if isinstance(state, tuple):
        codes = [part for part in state if _is_array(part)]
        dtype = [part for part in state if isinstance(part, ObjectNode) and not _is_array(part)]
        require(len(codes) == len(dtype) == 1, "a categorical has no codes or no categories")
        return codes[0], attributes(dtype[0]).get("categories")
    told = named(state)
    numbers = told.get("_codes", told.get("_ndarray"))
    kind = told.get("_dtype")
    if isinstance(kind, ObjectNode):
        return numbers, attributes(kind).get("categories")
    return numbers, told.get("_categories")  # before pandas 0.21


def _state_of(made: ObjectNode) -> DictNode | tuple[Node, ...]:
    """A dict, which Cython also wraps in a tuple, or the values and the dtype."""
    state = made.states[0] if len(made.states) == 1 else None
    if isinstance(state, tuple) and len(state) == 1:
        state = state[0]
    if not isinstance(state, DictNode | tuple):
        raise InvariantError("an array of pandas has no values")
    return state


def _below(numbers: Stored, count: int | None) -> Iterator[Scan]:
    """-1 stands for a missing value."""
    numbers.expect(SIGNED, *numbers.shape)
    if count is not None:
        yield scan_values(numbers, within(numbers, count, least=-1))
