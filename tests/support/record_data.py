"""Records as plain data, which a process without scikit-learn can read."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelpack.serving.runtimes.plans.records import is_record, make_record


def to_data(value: Any) -> Any:
    """Convert a record to tuples, lists and arrays of numbers."""
    if is_record(value):
        kind, attributes = type(value), vars(value).items()
        return ("record", kind.__module__, kind.__name__, [(n, to_data(v)) for n, v in attributes])
    if isinstance(value, np.ndarray) and value.dtype == object:
        return ("objects", value.shape, [to_data(each) for each in value.ravel().tolist()])
    if isinstance(value, list):
        return [to_data(each) for each in value]
    if isinstance(value, tuple):
        return ("tuple", [to_data(each) for each in value])
    return value


def from_data(data: Any) -> Any:
    """Convert the result of `to_data` back."""
    if isinstance(data, list):
        return [from_data(each) for each in data]
    if not isinstance(data, tuple):
        return data
    if data[0] == "record":
        return make_record(data[1], data[2], {name: from_data(each) for name, each in data[3]})
    values = [from_data(each) for each in data[-1]]
    if data[0] == "tuple":
        return tuple(values)
    array = np.empty(len(values), object)
    array[:] = values
    return array.reshape(data[1])
