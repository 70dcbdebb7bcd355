"""A loaded model predicts with one thread and in its process, and answers as before."""

from __future__ import annotations

import copy
import os
import sys
from collections import OrderedDict
from typing import Any

import category_encoders
import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import BisectingKMeans, KMeans, MiniBatchKMeans
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier, VotingClassifier
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import PairwiseKernel
from sklearn.pipeline import make_pipeline

from modelpack.serving.runtimes.threads import use_one_thread

X = np.random.default_rng(0).normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)


def test_every_estimator_inside_uses_one_thread() -> None:
    inner = [("a", RandomForestClassifier(2)), ("b", RandomForestClassifier(2))]
    model = make_pipeline(VotingClassifier(inner)).fit([[0], [1]] * 4, [0, 1] * 4)
    parts = [model[-1], *model[-1].estimators_]
    for part, n_jobs in zip(parts, (4, -1, None), strict=True):
        part.n_jobs = n_jobs
    use_one_thread(model)
    assert [part.n_jobs for part in parts] == [1, 1, 1]


def test_estimators_in_objects_that_are_no_estimators() -> None:
    model = CalibratedClassifierCV(BaggingClassifier(n_estimators=3), cv=2).fit(X, Y)
    inner = [helper.estimator for helper in model.calibrated_classifiers_]
    for part in inner:
        part.n_jobs = 6
    with joblib.parallel_config("threading"):  # the same six parts as in processes
        expected = copy.deepcopy(model).predict_proba(X)
    use_one_thread([model])
    assert [part.n_jobs for part in inner] == [1, 1]
    assert model.predict_proba(X).tobytes() == expected.tobytes()


class Helper:
    """An object with attributes, as libraries have."""


def object_array(part: Any) -> Any:
    array = np.empty((1, 1), object)
    array[0, 0] = part
    return array


CONTAINERS = {
    "list": lambda part: [part],
    "tuple": lambda part: (1, part),
    "dict": lambda part: OrderedDict(a=part),
    "array": object_array,
    "nested": lambda part: [{"a": (object_array([part]),)}],
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_estimators_in_any_container(container: str) -> None:
    part, root = RandomForestClassifier(n_jobs=7), Helper()
    root.helper, root.helper_of_helper = root, Helper()  # type: ignore[attr-defined]
    root.helper_of_helper.held = CONTAINERS[container](part)  # type: ignore[attr-defined]
    root.helper_of_helper.held_by = [root]  # type: ignore[attr-defined]
    use_one_thread(root)
    assert part.n_jobs == 1


def test_only_settings_are_changed() -> None:
    part = RandomForestClassifier()
    part.vocabulary_ = {"n_jobs": 7}  # type: ignore[attr-defined]
    part.best_params_ = {"n_jobs": 7}  # type: ignore[attr-defined]
    part.module = os  # type: ignore[attr-defined]
    before, other = dict(vars(os)), Helper()
    other.n_jobs = 7  # type: ignore[attr-defined]
    vars(other)[7] = {"n_jobs": 7}  # type: ignore[index]
    use_one_thread([part, other, {"n_jobs": 7}])
    assert part.vocabulary_ == part.best_params_ == {"n_jobs": 7}  # type: ignore[attr-defined]
    assert other.n_jobs == 7  # type: ignore[attr-defined]
    assert vars(os) == before


def test_each_object_is_looked_at_once() -> None:
    """A list of lists that are all the same list is as cheap as it is in memory."""
    shared: Any = [RandomForestClassifier(n_jobs=7)]
    part = shared[0]
    for _ in range(100):
        shared = [shared] * 10
    use_one_thread(shared)
    assert part.n_jobs == 1


def test_options_of_a_kernel() -> None:
    kernel = PairwiseKernel(metric="poly", pairwise_kernels_kwargs={"n_jobs": 6, "degree": 2})
    model = GaussianProcessRegressor(kernel, optimizer=None).fit(X, Y)
    use_one_thread(model)
    options = {"n_jobs": 1, "degree": 2}
    assert model.kernel_.pairwise_kernels_kwargs == options


@pytest.mark.parametrize("kind", [KMeans, MiniBatchKMeans, BisectingKMeans])
def test_threads_of_clusters(kind: Any) -> None:
    model = kind(3, random_state=0).fit(X)
    expected = model.predict(X).tolist()
    model._n_threads = 10**6
    use_one_thread(model)
    assert model._n_threads == 1
    assert model.predict(X).tolist() == expected


STARTING = {"os.fork", "os.exec", "os.posix_spawn", "subprocess.Popen"}
seen: list[str] = []
sys.addaudithook(lambda event, _: seen.append(event) if event in STARTING else None)

ROWS = pd.DataFrame({"a": list("xyzx"), "b": range(4)})


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_an_encoder_starts_no_process(method: str) -> None:
    model = category_encoders.HashingEncoder(n_components=4, max_process=1).fit(ROWS)
    expected = model.transform(ROWS)
    model.max_process, model.process_creation_method = 40, method
    use_one_thread(make_pipeline(model))
    seen.clear()
    assert model.transform(ROWS).equals(expected)
    assert seen == []


class Old(category_encoders.HashingEncoder):
    """As in category_encoders 2.6, which has this method and starts processes in the other."""

    def require_data(self) -> None:
        raise NotImplementedError

    def _transform(self, X: Any) -> Any:
        raise NotImplementedError("would start processes")


def test_an_encoder_of_an_old_release_starts_no_process() -> None:
    model = category_encoders.HashingEncoder(n_components=4, max_process=1).fit(ROWS)
    expected = model.transform(ROWS)
    model.__class__ = Old
    with pytest.raises(NotImplementedError):
        model.transform(ROWS)
    Old.__module__ = "category_encoders.hashing"
    use_one_thread(model)
    assert model.transform(ROWS).equals(expected)
