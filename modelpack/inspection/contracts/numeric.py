"""Callables of numpy and scipy: arrays, scalars, generators of random numbers, distributions."""

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

# Array classes; the others of numpy open files (memmap) or take any code (recarray of objects).
_ARRAYS = {
    "numpy:ndarray",
    "numpy:matrix",  # which the policy refuses by its name
    "numpy.ma:MaskedArray",
    "numpy.ma.core:MaskedArray",
    "numpy.matrixlib.defmatrix:matrix",
    "pandas.core.indexes.frozen:FrozenNDArray",
}
_UFUNCS = ("numpy", "scipy.special")

# scipy.stats writes the text that it executes in `__setstate__`: it must be its own template, with
# nothing but names of shape parameters in it.
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
"""The last parameters of a continuous and of a discrete distribution -> what is returned."""

_RESERVED = {"loc", "moments", "scale", "self", "size", *keyword.kwlist}
# What scipy before 1.6 gives to `__init__` when it is unpickled; of `shapes` it makes such a text.
_NAMES = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:[, ]+[A-Za-z_][A-Za-z0-9_]*)*")
_SAMPLERS = {"rvs_fisher", "rvs_wallenius"}
"""The methods of a compiled class that noncentral hypergeometric distributions look up by text."""

_PARAMETERS = {
    "momtype", "a", "b", "xtol", "badvalue", "name", "longname", "shapes", "extradoc",
    "moment_tol", "values", "inc", "seed",
}  # fmt: skip


def _dtype(made: ObjectNode) -> str | None:
    # Read twice: what it is made of may have been changed since it was set.
    if made.dtype is not None and read(made) == made.dtype:
        return None
    return "it is no dtype as numpy writes it"


def _array_class(node: Node) -> bool:
    return isinstance(node, Global) and node.key in _ARRAYS


def _array(made: ObjectNode) -> str | None:
    return _ARRAY(made) or _values(made.states[0][2], made.states[0][4])


def _values(kind: Node, values: Node) -> str | None:
    # Of objects a list, of all else bytes: numpy would take bytes for addresses.
    found = parse(kind)
    if found is not None and found.has_objects == isinstance(values, list):
        return None
    return "its values are not those of its dtype"


def _masked(made: ObjectNode) -> str | None:
    return _MASKED(made) or _values(made.states[0][2], made.states[0][4])


def _plain_dtype(node: Node) -> bool:
    # The bytes of a dtype with objects would be taken for addresses.
    found = parse(node)
    return found is not None and not found.has_objects


def _own_bytes(node: Node) -> bool:
    # Of another object, the array would share the memory.
    return isinstance(node, bytes | Blob)


def _positioned(contract: Contract) -> Contract:
    def positioned(made: ObjectNode) -> str | None:
        wrong = contract(made)
        return wrong if wrong or is_random_state(made) else "its position is beyond its numbers"

    return positioned


def _ufunc(made: ObjectNode) -> str | None:
    # It imports the module that the first argument names, and takes the second from it.
    if len(made.args) == 2 and all(map(text, made.args)) and not made.states:
        module, name = made.args
        known = any(f"{module}.".startswith(f"{package}.") for package in _UFUNCS)
        if known and "ref" in roles(f"{module}:{name}"):
            return None
    return "it takes what is no known function of numpy or scipy"


def _spline(made: ObjectNode) -> str | None:
    # A dict before scipy 1.18; since then the spline that it stands for, and an empty array.
    if not is_bare(made):
        return "it is made of arguments"
    fine = all(isinstance(state, DictNode) or _STANDS_FOR(state) for state in made.states)
    return None if fine else "its state is not one that scipy writes"


def _is_inner_spline(node: Node) -> bool:
    return (
        isinstance(node, ObjectNode) and class_key(node) == "scipy.interpolate._bsplines:_BSpline"
    )


def _distribution(made: ObjectNode) -> str | None:
    if len(made.states) > 1:
        return "it has several states"
    for state in made.states:
        if isinstance(state, tuple):
            return _parameters(state)
        if not isinstance(state, DictNode):
            return "its state is no dict"
        return _texts(state)
    return None


def is_template(node: Node) -> bool:
    """Return whether a value is the text that scipy itself writes and executes."""
    match = _HEAD.match(node) if isinstance(node, str) else None
    if match is None or match[2] not in _SCALES or not _are_shapes(match[1].split(", ")[:-1]):
        return False
    returned = _SCALES[match[2]]
    return bool(node == _TEMPLATE.format(shapes=match[1], taken=match[2], returned=returned))


def _are_shapes(names: list[str]) -> bool:
    """Whether names can be parameters of one function, next to those that scipy adds."""
    return len(set(names)) == len(names) and _RESERVED.isdisjoint(names)


def _texts(state: DictNode) -> str | None:
    for key, value in zip(state.keys, state.values, strict=True):
        if key == "_parse_arg_template" and not is_template(value):
            return "the text that it executes is not scipy's own"
        if key == "rvs_name" and (type(value) is not str or value not in _SAMPLERS):
            return "the method that draws its samples is none of scipy's"
    return None


def _parameters(state: tuple[Node, ...]) -> str | None:
    if len(state) != 2 or not isinstance(state[0], DictNode) or not _RANDOM(state[1]):
        return "its state is not one that scipy writes"
    for key, value in zip(state[0].keys, state[0].values, strict=True):
        if not isinstance(key, str) or key not in _PARAMETERS or not _PARAMETER(value):
            return "its state holds a parameter that scipy does not know"
        if key == "shapes" and isinstance(value, str) and value:
            names = value.replace(",", " ").split()
            if not _NAMES.fullmatch(value) or not _are_shapes(names):
                return "the names of its shape parameters are none"
    return None


_STANDS_FOR = tuple_of(_is_inner_spline, array)
_RANDOM = either(nothing, result_of("random_state", "generator"))
_PARAMETER = either(nothing, number, text, array)
_EMPTY = literal((0,))
_LETTER = either(literal("b", b"b"), result_of("encode", "bytes"))
_ARRAY = call_contract(
    _array_class,
    _EMPTY,
    _LETTER,
    state=tuple_of(integer, shape, dtype, flag, either(raw, lambda node: isinstance(node, list))),
)
_MASKED = call_contract(
    _array_class,
    _array_class,
    _EMPTY,
    _LETTER,
    state=tuple_of(
        integer,
        shape,
        dtype,
        flag,
        either(raw, lambda node: isinstance(node, list)),
        raw,
        anything,
    ),
)
_GENERATOR = global_named("numpy.random")
_MAKER = global_named("numpy.random", "__bit_generator_ctor")
_STATE = either(table, tuple_of(table, either(nothing, result_of("cython"))))

CALLS: dict[str, Contract] = {
    "array": _array,
    "masked": _masked,
    "dtype": _dtype,
    "scalar": call_contract(_plain_dtype, raw),
    "buffer": call_contract(
        _own_bytes, _plain_dtype, shape, literal("C", "F", "K"), shape, least=4
    ),
    "ufunc": _ufunc,
    "bit_generator": _positioned(call_contract(either(text, _GENERATOR), least=0, state=_STATE)),
    # The second argument is called with the first.
    "generator": _positioned(
        call_contract(
            either(text, result_of("bit_generator")), _MAKER, least=0, state=table, stateless=True
        )
    ),
    "random_state": _positioned(
        call_contract(
            either(text, result_of("bit_generator")),
            _MAKER,
            least=0,
            state=either(table, tuple_of(text, array, unsigned_integer, unsigned_integer, number)),
        )
    ),
}
CLASSES: dict[str, Contract] = {"distribution": _distribution, "spline": _spline}
