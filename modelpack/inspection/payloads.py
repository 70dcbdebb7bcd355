"""The arrays of joblib: a `NumpyArrayWrapper` in the pickle, the bytes behind it.

Format: joblib/numpy_pickle.py, `NumpyArrayWrapper.write_array`. Since joblib 1.2 a byte tells how
many bytes 0xff follow it, so that the array is aligned in the file.
"""

from __future__ import annotations

import math

from .contracts.made import class_key
from .dtypes import parse, shape_of
from .nodes import Dct, Malformed, Obj, Payload

_VENDORED = "sklearn.externals.joblib.numpy_pickle:NumpyArrayWrapper"
WRAPPERS = {"joblib.numpy_pickle:NumpyArrayWrapper", _VENDORED}
EXTERNAL = {
    f"{package}.{module}:{name}"
    for package in ("joblib", "sklearn.externals.joblib")
    for module in ("numpy_pickle", "numpy_pickle_compat")
    for name in ("NDArrayWrapper", "ZNDArrayWrapper")
}
_ATTRIBUTES = {"subclass", "shape", "order", "dtype", "allow_mmap", "numpy_array_alignment_bytes"}


def is_wrapper(made: Obj) -> bool:
    """Whether the bytes of an array follow the state of this object.

    Raises:
        Malformed: it is a wrapper of old joblib, which makes the loader open another file.
    """
    key = class_key(made)
    if key in EXTERNAL:
        message = "the array lies in another file, as joblib before 0.10 wrote it"
        raise Malformed("external-file", message, global_=key)
    return key in WRAPPERS


def layout(wrapper: Obj) -> tuple[Payload, int | None, bool]:
    """The array without its bytes; their number, or None where a pickle follows instead; and
    whether padding precedes them.

    Raises:
        Malformed: the wrapper does not tell of an array as joblib does.
    """
    state = wrapper.states[-1]
    if not isinstance(state, Dct) or len(wrapper.states) != 1:
        raise _broken("it has no state")
    if not all(type(key) is str and key in _ATTRIBUTES for key in state.keys):
        raise _broken("its attributes are not those of a wrapper")
    facts = dict(zip(state.keys, state.values, strict=True))
    aligned = facts.get("numpy_array_alignment_bytes") is not None
    if aligned and class_key(wrapper) == _VENDORED:
        raise _broken("it tells of padding, which the joblib inside scikit-learn does not know")
    dtype, shape, order = (
        parse(facts.get("dtype")),
        shape_of(facts.get("shape")),
        facts.get("order"),
    )
    if dtype is None or shape is None or not isinstance(order, str) or order not in {"C", "F"}:
        raise _broken("its dtype, shape or order is not one of an array")
    payload = Payload(wrapper, dtype, shape, order == "F", None, None)
    size = None if dtype.has_objects else dtype.itemsize * math.prod(shape)
    return payload, size, aligned


def _broken(why: str) -> Malformed:
    return Malformed(
        "broken-array", f"joblib's wrapper of an array is not as joblib writes it: {why}"
    )
