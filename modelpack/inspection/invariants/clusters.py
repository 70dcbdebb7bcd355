"""Clusters around centres, and outliers of an ellipse: compiled code takes the number of columns
of a centre, of a matrix, and of a list of norms from another array or from the row
(sklearn/cluster/_k_means_lloyd.pyx, sklearn/metrics/_pairwise_distances_reduction, and
scipy/spatial/src/distance_impl.h, `cdist_mahalanobis`).
"""

from __future__ import annotations

from collections.abc import Iterator

from ..nodes import Obj
from .objects import attributes, integer, stored
from .scans import Scan

_FLOAT = {"f4", "f8"}


def centres(made: Obj) -> Iterator[Scan]:
    """Centres of as many columns as there are features."""
    state = attributes(made)
    n_features = integer(state.get("n_features_in_"))
    if state.get("cluster_centers_") is not None and n_features is not None:
        stored(state["cluster_centers_"], "the centres").expect(_FLOAT, None, n_features)
    yield from ()


def subclusters(made: Obj) -> Iterator[Scan]:
    """Birch: one norm for each centre."""
    state = attributes(made)
    if state.get("subcluster_centers_") is not None:
        centres = stored(state["subcluster_centers_"], "the centres")
        centres.expect(_FLOAT, None, integer(state.get("n_features_in_")))
        norms = stored(state.get("_subcluster_norms"), "the norms of the centres")
        norms.expect(_FLOAT, centres.shape[0])
    yield from ()


def ellipse(made: Obj) -> Iterator[Scan]:
    """A centre, and two square matrices of as many columns."""
    state = attributes(made)
    if state.get("location_") is not None:
        centre = stored(state["location_"], "the centre")
        centre.expect(_FLOAT, integer(state.get("n_features_in_")))
        for name in ("covariance_", "precision_"):
            if state.get(name) is not None:
                stored(state[name], "a matrix of covariances").expect(_FLOAT, *centre.shape * 2)
    yield from ()
