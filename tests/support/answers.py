"""The prediction of a loaded model for the example of its signature."""

import math
import warnings

import numpy as np
import pandas as pd

TYPES = {
    "number": (int, float),
    "integer": int,
    "string": str,
    "boolean": bool,
    "any": (bool, int, float, str),
}


def example_row(signature):
    """Return one row of the examples, in the layout that the model takes."""
    values = [field.example for field in signature.inputs]
    names = [field.name for field in signature.inputs]
    if signature.layout == "array":
        numeric = all(isinstance(value, int | float) for value in values)
        return np.array([values], float if numeric else object)
    if signature.layout == "frame":
        return pd.DataFrame([values], columns=names)
    return values if signature.layout == "text" else [dict(zip(names, values, strict=True))]


def predict_example(model, method, signature):
    """Return the array of shape (1, ...) that the model predicts for the example."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that an array lacks, of sums that overflow
        found = getattr(model, method)(example_row(signature))
    return np.asarray(found.toarray() if hasattr(found, "toarray") else found)


def assert_declared(prediction, signature):
    """Fail unless the prediction has the shape, type and labels of the signature."""
    (output,) = signature.outputs
    assert prediction.shape[0] == 1
    assert len(prediction.shape[1:]) == len(output.shape)
    for size, declared in zip(prediction.shape[1:], output.shape, strict=True):
        assert declared in (size, -1)
    for value in prediction.ravel().tolist():
        assert isinstance(value, TYPES[output.type])
        assert not isinstance(value, bool) or output.type in {"boolean", "any"}
        assert not isinstance(value, float) or math.isfinite(value)
        assert output.categories is None or value in output.categories
