"""Saved DataFrames of which one value was changed."""

import copyreg

import numpy as np
import pandas as pd
from pandas._libs.internals import _unpickle_block
from pandas.core.internals.managers import BlockManager


class Reduced:
    """Is pickled as a call of a function with these arguments, and this state."""

    def __init__(self, function, *args, state=None):
        self.reduced = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.reduced


def instance(cls, state):
    return Reduced(copyreg._reconstructor, cls, object, None, state=state)


def block(values, positions, dimensions=2):
    return Reduced(_unpickle_block, values, positions, dimensions)


def block_manager(blocks, axes):
    return Reduced(BlockManager, tuple(altered for altered in blocks), axes)


def frame(manager, cls=pd.DataFrame, key="_mgr"):
    return instance(cls, {key: manager, "_typ": cls.__name__.lower(), "_metadata": []})


def numbers(columns, rows=4):
    return np.ones((columns, rows))


def axes(columns, rows=4):
    return [pd.RangeIndex(columns), pd.RangeIndex(rows)]
