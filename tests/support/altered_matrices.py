"""Saved sparse matrices of which one value was changed."""

import warnings

import numpy as np
from scipy import sparse

DENSE = np.arange(24.0).reshape(4, 6)


def in_format(name, kind="matrix", content=DENSE):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(sparse, f"{name}_{kind}")(content)
