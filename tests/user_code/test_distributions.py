"""The distributions of modules whose names differ from theirs."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from modelpack.errors import EnvironmentNotResolvedError
from modelpack.inspection import inspect
from modelpack.inspection.facts.distributions import DISTRIBUTIONS
from modelpack.types import Code
from modelpack.user_code.distributions import provider
from modelpack.user_code.messages import require_found

MODEL = Path(__file__).parents[1] / "data" / "alarms" / "kmeans-sklearn-0.17.1.pkl"
NAMES = """
absl absl-py | autosklearn auto-sklearn | bayes_opt bayesian-optimization | Bio biopython
bs4 beautifulsoup4 | category_encoders category-encoders | community python-louvain
cpuinfo py-cpuinfo | cv2 opencv-python-headless | dateutil python-dateutil | dotenv python-dotenv
docx python-docx | dtw dtw-python | faiss faiss-cpu | feature_engine feature-engine
fitz pymupdf | git gitpython | google.cloud.bigquery google-cloud-bigquery | hydra hydra-core
imblearn imbalanced-learn | interpret interpret-core | interpret.glassbox interpret-core
jwt pyjwt | kerastuner keras-tuner | Levenshtein levenshtein | mpl_toolkits matplotlib
MySQLdb mysqlclient | OpenSSL pyopenssl | osgeo gdal | PIL pillow | pkg_resources setuptools
pptx python-pptx | pycrfsuite python-crfsuite | pyearth sklearn-contrib-py-earth
pyro pyro-ppl | pywt pywavelets | rgf rgf-python | ruamel.yaml ruamel-yaml | scikitplot scikit-plot
sentence_transformers sentence-transformers | serial pyserial | skfuzzy scikit-fuzzy
skimage scikit-image | sklearn scikit-learn | sklearn_crfsuite sklearn-crfsuite
sklearn_extra scikit-learn-extra | sklearn_genetic sklearn-genetic-opt
sklearn_pandas sklearn-pandas | sklearnex scikit-learn-intelex | sklego scikit-lego
skmultilearn scikit-multilearn | skopt scikit-optimize | skrules skope-rules
sksurv scikit-survival | sktree scikit-tree | slugify python-slugify | snappy python-snappy
spellchecker pyspellchecker | stan pystan | Stemmer pystemmer | surprise scikit-surprise
talib ta-lib | umap umap-learn | yaml pyyaml | zmq pyzmq
"""
PAIRS = [tuple(pair.split()) for line in NAMES.split("\n") for pair in line.split("|") if pair]


@pytest.mark.parametrize(("module", "distribution"), PAIRS)
def test_module_is_in_its_distribution(module, distribution, monkeypatch):
    monkeypatch.setattr("modelpack.user_code.distributions.installed", lambda _: None)
    assert provider(module).name == distribution


def test_both_tables_name_the_same_distribution(monkeypatch):
    monkeypatch.setattr("modelpack.user_code.distributions.installed", lambda _: None)
    others = {m for m, d in DISTRIBUTIONS.items() if provider(m).name != canonicalize_name(d)}
    assert others == {"_loss"}  # a name of compiled code, which no file imports


@pytest.mark.parametrize(
    ("module", "option"),
    [
        ("sklearn_extra.cluster", "--requirement scikit-learn-extra."),
        ("features", "--requirement NAME==VERSION"),
    ],
)
def test_hint_names_the_distribution_of_a_common_module(module, option):
    with pytest.raises(EnvironmentNotResolvedError) as error:
        require_found(inspect(MODEL), Code(missing=(module,)))
    assert option in error.value.hint
    assert "--code PATH" in error.value.hint
