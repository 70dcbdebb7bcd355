"""What the arguments and states of the known callables may be: what picklers write, nothing else.

A contract returns what is wrong, or None. Most known callables only fill what they make; those here
would also import, allocate, open or run what they are told.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from .allowlist import standing
from .dtypes import parse, read
from .ndarrays import is_frombuffer, is_random_state
from .nodes import Blob, Dct, Global, Node, Obj

Contract = Callable[[Obj], str | None]

_ARRAY_CLASSES = {"numpy:ndarray", "numpy.ma:MaskedArray", "numpy.ma.core:MaskedArray"}
_BASES = {"object": type(None), "dict": Dct, "list": list, "tuple": tuple}
_PARTIAL = {"sklearn.utils.validation:check_array"}

# scipy.stats writes the text that it executes in `__setstate__`: it must be its own template, with
# nothing but names of shape parameters in it.
_SHAPES = r"(?:[A-Za-z_][A-Za-z0-9_]*, ?)*"
_SCALES = r"loc=0(?:, scale=1)?"
_TEMPLATE = re.compile(
    rf"\ndef _parse_args\(self, {_SHAPES} ?{_SCALES}\):\n"
    rf"    return \({_SHAPES} ?\), loc, (?:scale|1)\n"
    rf"\ndef _parse_args_rvs\(self, {_SHAPES} ?{_SCALES}, size=None\):\n"
    rf"    return self\._argcheck_rvs\({_SHAPES} ?loc, (?:scale|1), size=size\)\n"
    rf"\ndef _parse_args_stats\(self, {_SHAPES} ?{_SCALES}, moments='mv'\):\n"
    rf"    return \({_SHAPES} ?\), loc, (?:scale|1), moments\n"
)


def _reconstruct(made: Obj) -> str | None:
    cls = made.args[0] if made.args else None
    if not isinstance(cls, Global) or cls.key not in _ARRAY_CLASSES:
        return "it makes an array of what is no array class"
    shape = made.args[1] if len(made.args) > 1 else None
    return None if shape == (0,) else "it makes an array that is not empty at first"


def _mareconstruct(made: Obj) -> str | None:
    classes = [a.key if isinstance(a, Global) else "" for a in made.args[:2]]
    if not set(classes) <= _ARRAY_CLASSES:
        return "it makes an array of what is no array class"
    fine = len(made.args) > 2 and made.args[2] == (0,)
    return None if fine else "it makes an array that is not empty at first"


def _dtype(made: Obj) -> str | None:
    # Read twice: what it is made of may have been changed since it was set.
    if made.dtype is not None and read(made) == made.dtype:
        return None
    return "it is no dtype as numpy writes it"


def _without_objects(position: int) -> Contract:
    def contract(made: Obj) -> str | None:
        dtype = parse(made.args[position]) if len(made.args) > position else None
        if dtype is None or dtype.has_objects:
            return "its dtype is not one of plain values: its bytes would be taken for addresses"
        return None

    return contract


def _frombuffer(made: Obj) -> str | None:
    if not is_frombuffer(made):
        return "it shares the memory of another object"
    return _without_objects(1)(made)


def _encode(made: Obj) -> str | None:
    if len(made.args) == 2 and isinstance(made.args[0], str | Blob):
        if made.args[1] in ("latin1", "latin-1"):
            return None
        if made.args[1] == "utf-8" and isinstance(made.args[0], str):
            return None
    return "it is used otherwise than for the bytes of an array"


def _bytes(made: Obj) -> str | None:
    sizes = [a for a in made.args if isinstance(a, int)]
    return "it claims memory by a number" if sizes else None


def _collection(made: Obj) -> str | None:
    fine = len(made.args) <= 1 and all(isinstance(a, list | tuple) for a in made.args)
    return None if fine else "it is made of what is no list"


def _deque(made: Obj) -> str | None:
    values, *length = made.args or ([],)
    fine = isinstance(values, list | tuple) and all(type(n) in (int, type(None)) for n in length)
    return None if fine else "it is made of what is no list"


def _defaultdict(made: Obj) -> str | None:
    factory = made.args[0] if made.args else None
    if factory is None:
        return None
    if isinstance(factory, Global) and (
        factory.module in {"builtins", "__builtin__"}
        or factory.key == "collections:OrderedDict"
        or standing(factory.key) == "unknown"  # has to be trusted anyway
    ):
        return None
    return "its factory is no plain type"


def _partial(made: Obj) -> str | None:
    # A state replaces the function that the arguments told.
    wrapped = [a[0] if isinstance(a, tuple) and a else None for a in (made.args, *made.states)]
    if all(
        isinstance(func, Global) and (func.key in _PARTIAL or standing(func.key) == "unknown")
        for func in wrapped
    ):
        return None
    return "it wraps a function that models do not wrap"


def _of_same_module(made: Obj) -> str | None:
    cls = made.args[0] if made.args else None
    fine = isinstance(cls, Global) and cls.module == made.cls.module
    return None if fine else "it makes what its module does not hold"


def _formula(made: Obj) -> str | None:
    states = [state for state in made.states if isinstance(state, Dct)]
    if len(states) == len(made.states) and not any(
        key == "restore_design_info" for state in states for key in state.keys
    ):
        return None
    return "it evaluates a formula that the file holds"


def _getattr(made: Obj) -> str | None:
    if len(made.args) == 2 and isinstance(made.args[0], Obj) and is_made(made.args[0]):
        owner, name = class_key(made.args[0]), made.args[1]
        if _contract(owner) is _scipy_distribution and name == "_entropy":
            return None
        if isinstance(name, str) and not name.startswith("__") and standing(owner) == "unknown":
            return None  # a bound method of a class that has to be trusted anyway
    return "it takes an attribute that models do not take"


def _random(made: Obj) -> str | None:
    # The second argument is called with the first.
    generator, *makers = made.args or ("",)
    to_check = makers if isinstance(generator, str | Obj) else made.args
    if not all(isinstance(a, Global) and a.module.startswith("numpy.random.") for a in to_check):
        return "its generator is none of numpy"
    return None if is_random_state(made) else "its position is beyond its numbers"


def _index(made: Obj) -> str | None:
    # The first argument is called with the second as its keywords.
    cls = made.args[0] if made.args else None
    if isinstance(cls, Global) and (cls.module == "pandas" or cls.module.startswith("pandas.")):
        return None
    return "its class is none of pandas"


def _compile(made: Obj) -> str | None:
    kinds = [type(a) for a in made.args]
    return None if kinds == [str, int] else "it is not called with a pattern and flags"


def _reconstructor(made: Obj) -> str | None:
    if len(made.args) == 3:
        cls, base, content = made.args
        kind = _BASES.get(base.name) if isinstance(base, Global) else None
        if isinstance(cls, Global) and kind is not None and isinstance(content, kind):
            return None
    return "it is not called as picklers call it"


def _vectorizer(made: Obj) -> str | None:
    for state in made.states:
        if not isinstance(state, Dct):
            return "its state is no dict"
        for key, value in zip(state.keys, state.values, strict=True):
            if key == "input" and value != "content":
                return "it takes the rows of requests for names of files and opens them"
    return None


def _scipy_distribution(made: Obj) -> str | None:
    for state in made.states:
        if not isinstance(state, Dct) or made.kwargs:
            return "its state is no dict"
        for key, value in zip(state.keys, state.values, strict=True):
            is_text = isinstance(value, str) and _TEMPLATE.fullmatch(value)
            if key == "_parse_arg_template" and not is_text:
                return "the text that it executes is not scipy's own"
    return None


_CONTRACTS: dict[str, Contract] = {
    "multiarray:_reconstruct": _reconstruct,
    "core:_mareconstruct": _mareconstruct,
    "multiarray:scalar": _without_objects(0),
    "numeric:_frombuffer": _frombuffer,
    "_pickle:__bit_generator_ctor": _random,
    "_pickle:__generator_ctor": _random,
    "_pickle:__randomstate_ctor": _random,
    "random:__RandomState_ctor": _random,
    "pandas.core.indexes.base:_new_Index": _index,
    "numpy:dtype": _dtype,
    "_codecs:encode": _encode,
    "bytes": _bytes,
    "bytearray": _bytes,
    "set": _collection,
    "frozenset": _collection,
    "list": _collection,
    "collections:deque": _deque,
    "collections:defaultdict": _defaultdict,
    "functools:partial": _partial,
    "getattr": _getattr,
    "re:_compile": _compile,
    "_reconstructor": _reconstructor,
    "statsmodels.base.data:ModelData": _formula,
}


def violation(made: Obj) -> str | None:
    """What is wrong with the arguments or states of an object of a known global, if anything."""
    contracts = filter(None, map(_contract, dict.fromkeys((made.cls.key, class_key(made)))))
    return next(filter(None, (contract(made) for contract in contracts)), None)


def _contract(key: str) -> Contract | None:
    module, _, name = key.partition(":")
    if module in {"builtins", "__builtin__", "copyreg", "copy_reg"}:
        return _CONTRACTS.get(name)
    if module.startswith("sklearn.") and name == "newObj":
        return _of_same_module
    if module == "sklearn.feature_extraction.text" and name.endswith("Vectorizer"):
        return _vectorizer
    if module.startswith("scipy.stats.") and name.endswith("_gen"):
        return _scipy_distribution
    if module.startswith("numpy."):
        return _CONTRACTS.get(f"{module.rpartition('.')[2]}:{name}")
    return _CONTRACTS.get(key)


def made_class(made: Obj) -> Node:
    """The class of an object: of protocols 0 and 1, the first argument of `_reconstructor`."""
    is_old = made.cls.name == "_reconstructor" and made.cls.module in {"copyreg", "copy_reg"}
    return made.args[0] if is_old and made.args else made.cls


def is_made(made: Obj) -> bool:
    """Whether it is an object of `made_class`, and not what a call of that returned."""
    return made.how == "new" or made_class(made) is not made.cls


def class_key(made: Obj) -> str:
    """The "module:name" of `made_class`; "" of one that is no name."""
    cls = made_class(made)
    return cls.key if isinstance(cls, Global) else ""
