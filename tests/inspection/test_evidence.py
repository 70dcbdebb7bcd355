"""Library versions implied by the layout of a file."""

from __future__ import annotations

import pytest

from modelpack.inspection.facts.layouts import implied_versions, version_evidence
from modelpack.inspection.nodes import Global
from modelpack.inspection.pickle.machine import Trace


def implied(*keys: str) -> dict[str, str]:
    return implied_versions(Trace(globals={key: Global(key, 0, "GLOBAL") for key in keys}))


@pytest.mark.parametrize(
    ("key", "distribution", "specifier"),
    [
        ("numpy._core.multiarray:scalar", "numpy", ">=2"),
        ("numpy.core.multiarray:scalar", "numpy", "<2"),
        ("numpy.random._pickle:__randomstate_ctor", "numpy", ">=1.17"),
        ("scipy.sparse._csr:csr_matrix", "scipy", ">=1.8"),
        ("scipy.sparse.csr:csr_matrix", "scipy", "<1.8"),
        ("pandas.core.indexes.numeric:Int64Index", "pandas", "<2"),
        ("sklearn.svm.classes:SVC", "scikit-learn", "<0.22"),
        ("sklearn.svm._classes:SVC", "scikit-learn", ">=0.22"),
        ("sklearn.linear_model._base:LinearRegression", "scikit-learn", ">=0.22"),
        ("sklearn.externals.joblib.numpy_pickle:NumpyArrayWrapper", "scikit-learn", "<0.21"),
        ("sklearn.calibration:_TemperatureScaling", "scikit-learn", ">=1.8"),
        ("sklearn.ensemble._gb_losses:BinomialDeviance", "scikit-learn", ">=0.21,<1.4"),
    ],
)
def test_name_implies_the_releases_that_have_it(key, distribution, specifier):
    assert implied(key)[distribution] == specifier


def test_evidence_of_several_names_is_combined():
    found = implied("sklearn.svm._classes:SVC", "sklearn._loss.glm_distribution:GammaDistribution")
    assert found["scikit-learn"] == ">=0.23,<1.1"
    both = implied("numpy.core.multiarray:scalar", "numpy.random._pickle:__randomstate_ctor")
    assert both["numpy"] == ">=1.17,<2"


def test_names_without_a_common_release_are_no_evidence():
    assert implied("sklearn.svm.classes:SVC", "sklearn.calibration:_TemperatureScaling") == {}


def test_names_in_all_releases_are_no_evidence():
    assert implied("sklearn.pipeline:Pipeline", "collections:OrderedDict") == {}


def test_evidence_names_a_distinguishing_global():
    keys = ["numpy:dtype", "numpy._core.multiarray:scalar"]
    assert version_evidence("numpy", keys) == "numpy._core.multiarray:scalar"
    assert version_evidence("scipy", keys) is None
