"""Clusters around centres: compiled code takes the number of columns of a centre from the row
(sklearn/cluster/_k_means_lloyd.pyx).
"""

from __future__ import annotations

from collections.abc import Iterator

from ..nodes import Obj
from .objects import attributes, integer, stored
from .scans import Scan


def centres(made: Obj) -> Iterator[Scan]:
    state = attributes(made)
    n_features = integer(state.get("n_features_in_"))  # since scikit-learn 0.23
    if state.get("cluster_centers_") is not None and n_features is not None:
        stored(state["cluster_centers_"], "the centres").expect({"f4", "f8"}, None, n_features)
    yield from ()
