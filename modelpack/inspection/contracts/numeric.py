"""Contracts of numpy and scipy: arrays, scalars, random number generators, distributions."""

from __future__ import annotations

import keyword
import re

from ..allowlist import roles
from ..nodes import Blob, DictNode, Global, Node, ObjectNode, class_key, is_bare
from ..pickle.dtypes import parse, read
from ..pickle.ndarrays import is_random_state
from .kinds import (
    Contract,
    anything,
    array,
    call_contract,
    dtype,
    either,
    flag,
    global_named,
    integer,
    literal,
    nothing,
    number,
    raw,
    result_of,
    shape,
    table,
    text,
    tuple_of,
    unsigned_integer,
)

# The other array classes of numpy open files (memmap) or accept objects as fields (recarray).
_ARRAYS = {
    "numpy:ndarray",
    "numpy:matrix",  # the policy refuses it by name
    "numpy.ma:MaskedArray",
    "numpy.ma.core:MaskedArray",
    "numpy.matrixlib.defmatrix:matrix",
    "pandas.core.indexes.frozen:FrozenNDArray",
    "sklearn.utils.fixes:MaskedArray",
}
_UFUNCS = ("numpy", "scipy.special", "scipy.stats")

# scipy.stats saves the source code of `_parse_args` and executes it in `__setstate__`. The text
# must equal scipy's own template, in which only the names of the shape parameters vary.
_HEAD = re.compile(r"\ndef _parse_args\(self, ((?:[A-Za-z_][A-Za-z0-9_]*, )*) (loc=0[^)]*)\):\n")
_TEMPLATE = """
def _parse_args(self, {shapes} {taken}):
    return ({shapes}), {returned}

def _parse_args_rvs(self, {shapes} {taken}, size=None):
    return self._argcheck_rvs({shapes} {returned}, size=size)

def _parse_args_stats(self, {shapes} {taken}, moments='mv'):
    return ({shapes}), {returned}, moments
"""
_SCALES = {"loc=0, scale=1": "loc, scale", "loc=0": "loc, 1"}
"""The last parameters of a continuous and of a discrete distribution -> the values returned."""

_RESERVED = {"loc", "moments", "scale", "self", "size", *keyword.kwlist}
# scipy before 1.6 passes these parameters to `__init__` when it is unpickled, which inserts
# `shapes` into the same template.
_NAMES = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:[, ]+[A-Za-z_][A-Za-z0-9_]*)*")
_SAMPLERS = {"rvs_fisher", "rvs_wallenius"}
"""The methods that noncentral hypergeometric distributions look up by name in a compiled class."""

_PARAMETERS = {
    "momtype", "a", "b", "xtol", "badvalue", "name", "longname", "shapes", "extradoc",
    "moment_tol", "values", "inc", "seed",
}  # fmt: skip


def _dtype(node: ObjectNode) -> str | None:
    # Parsed again: the file may have changed the arguments after the state was set.
    if node.dtype is not None and read(node) == node.dtype:
        return None
    return "it is not a dtype in the form that numpy writes"


def _array_class(node: Node) -> bool:
    return isinstance(node, Global) and node.key in _ARRAYS


def _with_matching_values(contract: Contract) -> Contract:
    def with_matching_values(node: ObjectNode) -> str | None:
        if wrong := contract(node):
            return wrong
        # numpy would use bytes as the addresses of objects, so an array of objects needs a list.
        _, _, kind, _, values, *_ = node.states[0]
        found = parse(kind)
        fine = found is not None and found.has_objects == isinstance(values, list)
        return None if fine else "its values do not match its dtype"

    return with_matching_values


def _plain_dtype(node: Node) -> bool:
    # numpy would use the bytes of a dtype with objects as addresses.
    found = parse(node)
    return found is not None and not found.has_objects


def _plain_bytes(node: Node) -> bool:
    # The array shares the memory of any other object with a buffer.
    return isinstance(node, bytes | Blob)


def _with_valid_position(contract: Contract) -> Contract:
    def with_valid_position(node: ObjectNode) -> str | None:
        if wrong := contract(node):
            return wrong
        return None if is_random_state(node) else "its position is outside of its state vector"

    return with_valid_position


def _ufunc(node: ObjectNode) -> str | None:
    # It imports the module named by the first argument and reads the second from it.
    if len(node.args) == 2 and all(map(text, node.args)) and not node.states:
        module, name = node.args
        known = any(f"{module}.".startswith(f"{package}.") for package in _UFUNCS)
        if known and "ref" in roles(f"{module}:{name}"):
            return None
    return "it looks up a name that is not a known function of numpy or scipy"


def _spline(node: ObjectNode) -> str | None:
    # The state is a dict before scipy 1.18, and since then a tuple of a spline and an empty array.
    if not is_bare(node):
        return "it is constructed with arguments"
    fine = all(isinstance(state, DictNode) or _WRAPPED_SPLINE(state) for state in node.states)
    return None if fine else "its state is not one that scipy writes"


def _is_inner_spline(node: Node) -> bool:
    return isinstance(node, ObjectNode) and class_key(node) == _INNER_SPLINE


def _distribution(node: ObjectNode) -> str | None:
    if len(node.states) > 1:
        return "it has more than one state"
    for state in node.states:
        if isinstance(state, tuple):
            return _parameters(state)
        if not isinstance(state, DictNode):
            return "its state is not a dict"
        return _texts(state)
    return None


def is_template(node: Node) -> bool:
    """Return whether a value is the source code that scipy itself writes and executes."""
    match = _HEAD.match(node) if isinstance(node, str) else None
    if match is None or match[2] not in _SCALES or not _are_shapes(match[1].split(", ")[:-1]):
        return False
    returned = _SCALES[match[2]]
    return bool(node == _TEMPLATE.format(shapes=match[1], taken=match[2], returned=returned))


def _are_shapes(names: list[str]) -> bool:
    """Return whether names are distinct and none is one that scipy adds, or a keyword."""
    return len(set(names)) == len(names) and _RESERVED.isdisjoint(names)


def _texts(state: DictNode) -> str | None:
    for key, value in zip(state.keys, state.values, strict=True):
        if key == "_parse_arg_template" and not is_template(value):
            return "the code that it executes is not the template of scipy"
        if key == "rvs_name" and (type(value) is not str or value not in _SAMPLERS):
            return "its sampling method is not one of scipy"
    return None


def _parameters(state: tuple[Node, ...]) -> str | None:
    if len(state) != 2 or not isinstance(state[0], DictNode) or not _RANDOM(state[1]):
        return "its state is not one that scipy writes"
    for key, value in zip(state[0].keys, state[0].values, strict=True):
        if not isinstance(key, str) or key not in _PARAMETERS or not _PARAMETER(value):
            return "its state contains a parameter that scipy does not write"
        if key == "shapes" and isinstance(value, str) and value:
            names = value.replace(",", " ").split()
            if not _NAMES.fullmatch(value) or not _are_shapes(names):
                return "the names of its shape parameters are not valid"
    return None


_INNER_SPLINE = "scipy.interpolate._bsplines:_BSpline"
_WRAPPED_SPLINE = tuple_of(_is_inner_spline, array)
_RANDOM = either(nothing, result_of("random_state", "generator"))
_PARAMETER = either(nothing, number, text, array)
_EMPTY = literal((0,))
_LETTER = either(literal("b", b"b"), result_of("encode", "bytes"))
_ARRAY_STATE = (integer, shape, dtype, flag, either(raw, lambda node: isinstance(node, list)))
_GENERATOR = global_named("numpy.random")
_MAKER = global_named("numpy.random", "__bit_generator_ctor")
_STATE = either(table, tuple_of(table, either(nothing, result_of("cython"))))

CALLS: dict[str, Contract] = {
    "array": _with_matching_values(
        call_contract(_array_class, _EMPTY, _LETTER, state=tuple_of(*_ARRAY_STATE))
    ),
    "masked": _with_matching_values(
        call_contract(
            _array_class,
            _array_class,
            _EMPTY,
            _LETTER,
            state=tuple_of(*_ARRAY_STATE, raw, anything),
        )
    ),
    "dtype": _dtype,
    "scalar": call_contract(_plain_dtype, raw),
    "buffer": call_contract(
        _plain_bytes, _plain_dtype, shape, literal("C", "F", "K"), shape, required=4
    ),
    "ufunc": _ufunc,
    "bit_generator": _with_valid_position(
        call_contract(either(text, _GENERATOR), required=0, state=_STATE)
    ),
    # numpy calls the second argument with the first.
    "generator": _with_valid_position(
        call_contract(
            either(text, result_of("bit_generator")),
            _MAKER,
            required=0,
            state=table,
            stateless=True,
        )
    ),
    "random_state": _with_valid_position(
        call_contract(
            either(text, result_of("bit_generator")),
            _MAKER,
            required=0,
            state=either(table, tuple_of(text, array, unsigned_integer, unsigned_integer, number)),
        )
    ),
}
CLASSES: dict[str, Contract] = {"distribution": _distribution, "spline": _spline}
