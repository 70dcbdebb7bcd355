"""Estimators whose arrays fit no row of the width that they compare with are refused unloaded."""

import numpy as np
import pytest
from altered_models import X, assert_refused, findings, model
from sklearn.cluster import Birch
from sklearn.covariance import EllipticEnvelope
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MultiLabelBinarizer, StandardScaler

COMPILED = {
    "clusters": "cluster_centers_",
    "parts of clusters": "cluster_centers_",
    "brute force": "_fit_X",
    "kd tree": "_fit_X",
    "sparse neighbours": "_fit_X",
    "tree": "tree_",
    "boosting": "estimators_",
    "histogram": "_predictors",
}


def fitted(name):
    if name == "subclusters":
        return Birch(n_clusters=None).fit(X)
    return EllipticEnvelope(random_state=0).fit(X) if name == "ellipse" else model(name)


@pytest.mark.parametrize("name", [*COMPILED, "subclusters", "ellipse"])
def test_missing_width(name, tmp_path):
    altered = fitted(name)
    assert findings(altered, tmp_path, 5) == []
    del altered.n_features_in_
    altered.n_features_ = 4  # with which releases before 0.24 compare
    assert_refused(altered, tmp_path, r"\(n_features_in_\) is missing", 5)
    assert_refused(make_pipeline(StandardScaler().fit(X), altered), tmp_path, "n_features_in_", 5)


@pytest.mark.parametrize("name", COMPILED)
def test_estimators_that_are_not_fitted_have_no_width(name, tmp_path):
    altered = type(fitted(name))()
    assert {f.code for f in findings(altered, tmp_path, 5)} <= {"not-fitted"}


def reductions(version):
    def reduce(search):
        kind, args, state = search.__reduce_ex__(2)[:3]
        return kind, args, state | {"_sklearn_version": version}

    return {NearestNeighbors: reduce}


RELEASES = {"0.22.2.post1": True, "0.23.2": True, "0.24.0": False, "1.9.1": False, "new": False}


@pytest.mark.parametrize("version", RELEASES)
def test_releases_that_kept_no_width(version, tmp_path):
    search = NearestNeighbors(algorithm="brute").fit(X)
    del search.n_features_in_
    if RELEASES[version]:
        assert findings(search, tmp_path, 5, reductions(version)) == []
    else:
        assert_refused(search, tmp_path, "n_features_in_", 5, reductions(version))
    both = [search, StandardScaler().fit(X)]
    assert_refused(both, tmp_path, "n_features_in_", 5, reductions(version))


@pytest.mark.parametrize("attribute", ["location_", "covariance_", "precision_"])
def test_ellipse_of_other_features(attribute, tmp_path):
    altered = fitted("ellipse")
    setattr(altered, attribute, getattr(altered, attribute)[:3].copy())
    assert_refused(altered, tmp_path, "the shape of", 5)


def test_norms_of_centres(tmp_path):
    altered = fitted("subclusters")
    altered._subcluster_norms = altered._subcluster_norms[:-1].copy()
    assert_refused(altered, tmp_path, "the norms of the centres", 5)
    altered = fitted("subclusters")
    altered.subcluster_centers_ = altered.subcluster_centers_[:, :3].copy()
    assert_refused(altered, tmp_path, "the centres", 5)


@pytest.mark.parametrize("attribute", ["metric_params", "effective_metric_params_"])
def test_matrix_of_a_distance(attribute, tmp_path):
    settings = {"metric": "mahalanobis", "metric_params": {"VI": np.eye(4)}}
    altered = NearestNeighbors(algorithm="brute", **settings).fit(X)
    assert findings(altered, tmp_path, 5) == []
    setattr(altered, attribute, {"VI": np.eye(2)})
    assert_refused(altered, tmp_path, "the matrix of a distance", 5)


def test_columns_of_labels(tmp_path):
    altered = MultiLabelBinarizer().fit([["a"], ["b"]])
    altered.transform([["a"]])
    assert findings(altered, tmp_path, 5) == []
    altered._cached_dict["a"] = 2
    assert_refused(altered, tmp_path, "columns that do not exist", 5)
