"""Settings that would start threads or end the process are refused, as pickle and as skops."""

import numpy as np
import pandas as pd
import pytest
from altered_models import (
    WORDS,
    X,
    assert_refused,
    assert_refused_in_both,
    findings,
    skops_findings,
)
from category_encoders import HashingEncoder
from sklearn.cluster import BisectingKMeans, KMeans, MiniBatchKMeans
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FRAME = pd.DataFrame(X[:, :2], columns=["a", "b"])


@pytest.mark.parametrize("kind", [FeatureHasher, HashingVectorizer])
@pytest.mark.parametrize("count", [0, -1, -(2**31), 2**31, 2**40, 16.0, np.float64(16), "16", None])
def test_hashes_without_columns(kind, count, tmp_path):
    altered = kind(n_features=16)
    assert findings(altered, tmp_path, 5) == skops_findings(altered, tmp_path) == []
    altered.n_features = count
    assert_refused_in_both(altered, tmp_path, "n_features")


def test_hashes_in_a_pipeline(tmp_path):
    altered = make_pipeline(HashingVectorizer(n_features=np.int64(16)), SGDClassifier())
    altered.fit(WORDS, [0, 1, 1])
    assert findings(altered, tmp_path, 5) == []
    altered[0].n_features = 0
    assert_refused_in_both(altered, tmp_path, "n_features")


@pytest.mark.parametrize("kind", [KMeans, MiniBatchKMeans, BisectingKMeans])
def test_threads_of_clusters(kind, tmp_path):
    altered = kind(3, random_state=0).fit(X)
    for count in (1, 128, np.int64(16)):
        altered._n_threads = count
        assert findings(altered, tmp_path, 5) == skops_findings(altered, tmp_path) == []
    for count in (0, -1, 100_000, 10**9, 2.0, None):
        altered._n_threads = count
        assert_refused_in_both(altered, tmp_path, "_n_threads")


def test_processes_of_an_encoder(tmp_path):
    altered = HashingEncoder(n_components=4, max_process=1).fit(FRAME)
    for count, method in ((1, "fork"), (64, "spawn"), (128, "forkserver")):
        altered.max_process, altered.process_creation_method = count, method
        assert findings(altered, tmp_path, 5) == []
    del altered.process_creation_method  # in category_encoders 2.6
    assert findings(altered, tmp_path, 5) == []
    for count in (0, -1, 129, 10**6, 1.0, "1", None):
        altered.max_process = count
        assert_refused(altered, tmp_path, "max_process", 5)
    altered.max_process = 1
    for method in ("", "other", None, 1):
        altered.process_creation_method = method
        assert_refused(altered, tmp_path, "process_creation_method", 5)


FORMATS = ["{transformer_name}{feature_name}", "{feature_name}", "a{{b}}_{feature_name}", "same"]
WRONG_FORMATS = [
    "{feature_name:>3}",
    "{feature_name!r}",
    "{feature_name.__class__}",
    "{feature_name[0]}",
    "{transformer_name:{feature_name}}",
    "{other}",
    "{}",
    "{0}",
    "{feature_name",
    "{feature_name}" * 100,
]


def transformer(names):
    altered = ColumnTransformer([("a", StandardScaler(), ["a", "b"])]).fit(FRAME)
    altered.verbose_feature_names_out = names
    return altered


@pytest.mark.parametrize("names", [True, False, *FORMATS])
def test_plain_names_of_columns(names, tmp_path):
    assert findings(transformer(names), tmp_path, 5) == []
    assert skops_findings(transformer(names), tmp_path) == []


@pytest.mark.parametrize("names", [*WRONG_FORMATS, np.str_("{feature_name:>3}")])
def test_names_of_columns_that_format(names, tmp_path):
    assert_refused_in_both(transformer(names), tmp_path, "format of names")


@pytest.mark.parametrize("output", ["default", "pandas", "polars"])
def test_outputs(output, tmp_path):
    altered = StandardScaler().fit(FRAME)
    altered._sklearn_output_config = {"transform": output}
    assert findings(altered, tmp_path, 5) == skops_findings(altered, tmp_path) == []


@pytest.mark.parametrize("output", ["", "other", None, 1, ["pandas"], {"a": "b"}, StandardScaler()])
def test_outputs_that_scikit_learn_does_not_have(output, tmp_path):
    altered = StandardScaler().fit(FRAME)
    altered._sklearn_output_config = {"transform": output}
    assert_refused_in_both(altered, tmp_path, "its output")
    altered._sklearn_output_config = {"transform": "pandas", "predict": "pandas"}
    assert_refused_in_both(altered, tmp_path, "its output")
    altered._sklearn_output_config = [output]
    assert_refused_in_both(altered, tmp_path, "_sklearn_output_config")
