"""Text that names methods, and the objects that have them: only what models hold passes.

The files are changed in harmless ways and only inspected; nothing that is refused here is loaded.
"""

import importlib.util
import json
import pickle
import sys
import warnings
from collections import Counter
from functools import cache
from pathlib import Path

import joblib
import numpy as np
import opcodes as op
import pytest
import skops.io
from lightgbm import LGBMClassifier
from scipy import stats
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.impute._iterative import IterativeImputer  # not enabled for other tests
from sklearn.linear_model import BayesianRidge, LogisticRegression
from sklearn.metrics import get_scorer, make_scorer, roc_auc_score
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.multiclass import OneVsOneClassifier
from sklearn.multioutput import ClassifierChain
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler
from sklearn.svm import LinearSVC
from zoo import X, Y

from modelpack.inspection import interpreted
from modelpack.inspection.inspector import inspect

SCRIPTS = Path(__file__).parents[2] / "scripts"
BINARY = (Y > 0).astype(int)
TWO = np.c_[BINARY, Y == 1].astype(int)
PAIR = [("a", GaussianNB()), ("b", LinearSVC())]
# fmt: off
MODELS = {
    "stack": lambda: StackingClassifier(PAIR, cv=2).fit(X, Y),
    "stack with the rows": lambda: StackingClassifier(
        [*PAIR, ("c", "drop")], cv=2, passthrough=True, stack_method="predict").fit(X, Y),
    "stack of fitted ones": lambda: StackingClassifier(
        [("a", GaussianNB().fit(X, Y))], cv="prefit").fit(X, Y),
    "chain": lambda: ClassifierChain(LogisticRegression()).fit(X, TWO),
    "chain of scores": lambda: ClassifierChain(
        LogisticRegression(), chain_method=["decision_function", "predict"]).fit(X, TWO),
    "chain of logarithms": lambda: ClassifierChain(
        LogisticRegression(), chain_method="predict_log_proba").fit(X, TWO),
    "threshold": lambda: FixedThresholdClassifier(LogisticRegression()).fit(X, BINARY),
    "threshold of scores": lambda: FixedThresholdClassifier(
        LogisticRegression(), response_method="decision_function").fit(X, BINARY),
    "selection": lambda: SelectFromModel(LogisticRegression()).fit(X, Y),
    "selection by a path": lambda: SelectFromModel(
        make_pipeline(StandardScaler(), LogisticRegression()),
        importance_getter="named_steps.logisticregression.coef_").fit(X, Y),
    "elimination": lambda: RFE(LogisticRegression(), importance_getter="coef_").fit(X, Y),
    "quantiles": lambda: QuantileTransformer(n_quantiles=9, output_distribution="normal").fit(X),
    "search": lambda: GridSearchCV(
        LogisticRegression(), {"C": [1, 2]}, cv=2, refit="a",
        scoring={"a": get_scorer("accuracy"), "b": make_scorer(
            roc_auc_score, response_method=("decision_function", "predict_proba"))}
    ).fit(X, BINARY),
    "vote": lambda: VotingClassifier([*PAIR, ("c", "drop")]).fit(X, Y),
    "bagging": lambda: BaggingClassifier(n_estimators=2).fit(X, Y),
    "calibrated": lambda: CalibratedClassifierCV(LinearSVC(), method="isotonic", cv=2).fit(X, Y),
    "forest": lambda: RandomForestClassifier(2).fit(X, Y),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=2).fit(X, Y),
    "boosting from zero": lambda: GradientBoostingClassifier(
        n_estimators=2, init="zero").fit(X, Y),
    "histograms": lambda: HistGradientBoostingClassifier(
        max_iter=2, categorical_features=[3]).fit(np.c_[X[:, :3], Y], Y),
    "one on one": lambda: OneVsOneClassifier(LinearSVC()).fit(X, Y),
    "columns": lambda: ColumnTransformer(
        [("a", StandardScaler(), [0]), ("b", "passthrough", [1]), ("c", "drop", [2])],
        remainder=StandardScaler()).fit(X),
    "union": lambda: FeatureUnion([("a", StandardScaler()), ("b", "passthrough")]).fit(X),
    "pipeline": lambda: make_pipeline("passthrough", None, GaussianNB()).fit(X, Y),
    "imputed": lambda: IterativeImputer(BayesianRidge(), max_iter=1, add_indicator=True).fit(
        np.where(X > 6, np.nan, X)),
    "lightgbm": lambda: LGBMClassifier(n_estimators=2, verbose=-1, n_jobs=1).fit(X, Y),
}
# fmt: on

NOT_BY_SKOPS = {"estimator of an imputer", "imputed", "lightgbm", "text of numpy"}
ALSO_REFUSED = {"array of objects", "class", "getter that is a function"}
"""Cases that other checks refuse, too: these know the values or the roles."""


@cache
def fitted(name):
    """The bytes of a fitted model: each test loads, and may change, one of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pickle.dumps(MODELS[name]())


def model(name):
    return pickle.loads(fitted(name))


def verdict(altered, path, how):
    if how == "skops":
        skops.io.dump(altered, path)
    elif how == "joblib":
        joblib.dump(altered, path)
    else:
        path.write_bytes(pickle.dumps(altered, how))
    return inspect(path).safety


@pytest.mark.parametrize("how", [0, 2, 5, "joblib", "skops"])
@pytest.mark.parametrize("name", MODELS)
def test_real_models_pass(name, how, tmp_path):
    if how == "skops" and name in NOT_BY_SKOPS:
        pytest.skip("other checks refuse it, or skops writes something else")
    assert verdict(model(name), tmp_path / "m", how).findings == ()


def changed(name, attribute, value):
    altered = model(name)
    setattr(altered, attribute, value)
    return altered


def with_neighbour(attribute, text):
    """A stack whose first member is another object, next to the text that names its method."""
    altered = model("stack")
    altered.estimators_[0] = stats.norm
    setattr(altered, attribute, text)
    return altered


# fmt: off
HOSTILE = {
    "method of a neighbour": (
        lambda: with_neighbour("stack_method_", ["rvs", "decision_function"]), "bad-text"),
    "neighbour alone": (
        lambda: with_neighbour("final_estimator", None), "bad-member"),
    "special method": (lambda: changed("stack", "stack_method_", ["__setstate__"] * 2), "bad-text"),
    "text for a list": (lambda: changed("stack", "stack_method_", "predict"), "bad-text"),
    "array of texts": (lambda: changed("stack", "stack_method_", np.array(["rvs"])), "bad-text"),
    "text of numpy": (lambda: changed("chain", "chain_method_", np.str_("predict")), "bad-text"),
    "method of a chain": (lambda: changed("chain", "chain_method_", "tofile"), "bad-text"),
    "method of a threshold": (lambda: changed("threshold", "response_method", "fit"), "bad-text"),
    "methods of a threshold": (
        lambda: changed("threshold", "response_method", ["predict", "save_model"]), "bad-text"),
    "private path": (
        lambda: changed("selection", "importance_getter", "coef_.__class__"), "bad-text"),
    "path with a private part at first": (
        lambda: changed("elimination", "importance_getter", "_x.coef_"), "bad-text"),
    "path with an empty part": (
        lambda: changed("elimination", "importance_getter", "coef_..x"), "bad-text"),
    "getter that is a function": (
        lambda: changed("selection", "importance_getter", np.mean), "bad-text"),
    "distribution": (lambda: changed("quantiles", "output_distribution", "rdist"), "bad-text"),
    "distribution in a chain": (
        lambda: changed("chain", "estimators_", [stats.norm, stats.norm]), "bad-member"),
    "array in a pipeline": (
        lambda: changed("pipeline", "steps", [("a", np.ones(2)), ("b", GaussianNB())]),
        "bad-member"),
    "array of numbers": (lambda: changed("forest", "estimators_", np.ones(2)), "bad-member"),
    "array of objects": (
        lambda: changed("boosting", "estimators_", np.array([[stats.norm]], object)),
        "bad-member"),
    "pair without a name": (
        lambda: changed("union", "transformer_list", [(StandardScaler(),)]), "bad-member"),
    "class": (lambda: changed("threshold", "estimator_", GaussianNB), "bad-member"),
    "other word": (lambda: changed("threshold", "estimator_", "somebody"), "bad-member"),
    "distribution among columns": (
        lambda: changed("columns", "transformers_", [("a", stats.norm, [0])]), "bad-member"),
    "estimator of an imputer": (
        lambda: changed("imputed", "imputation_sequence_", [
            step._replace(estimator=stats.norm)
            for step in model("imputed").imputation_sequence_]), "bad-member"),
    "member deep inside": (
        lambda: changed("calibrated", "calibrated_classifiers_", [[[(stats.norm,)]]]),
        "bad-member"),
}
# fmt: on


@pytest.mark.parametrize("how", [2, 5, "joblib", "skops"])
@pytest.mark.parametrize("name", HOSTILE)
def test_other_values_are_refused(name, how, tmp_path, monkeypatch):
    make, code = HOSTILE[name]
    if how == "skops" and name in NOT_BY_SKOPS:
        pytest.skip("other checks refuse it, or skops writes something else")
    altered = make()
    found = verdict(altered, tmp_path / "m", how)
    assert found.verdict == "refuse"
    assert code in {finding.code for finding in found.findings}
    monkeypatch.setattr(interpreted, "check", lambda _: [])
    if name not in ALSO_REFUSED:
        assert verdict(altered, tmp_path / "again", how).verdict == "pass"


def test_the_message_names_class_and_attribute(tmp_path):
    found = verdict(changed("chain", "chain_method_", "tofile"), tmp_path / "m", 5)
    assert [finding.message for finding in found.findings] == [
        "chain_method_ of sklearn.multioutput.ClassifierChain does not contain the name of a "
        "method that predicts"
    ]


STACK = "sklearn.ensemble._stacking:StackingClassifier"
SCALE = op.new(op.SCALER)
NORMAL = op.new("scipy.stats._continuous_distns:norm_gen")
SOUND = {
    "importance_getter": op.text("named_steps.model.coef_"),
    "_parse_arg_template": op.NONE,
    "output_distribution": op.text("uniform"),
    "hash_method": op.text("sha256"),
    "loglike_method": op.text("nb1"),
    "_metadata": op.EMPTY_LIST + op.text("_name") + op.APPEND,
    **dict.fromkeys(("stack_method_",), op.EMPTY_LIST + op.text("predict") + op.APPEND),
}

WRONG = {"importance_getter": "_x", "tz": "dateutil//x", "_tz": "dateutil//x"}


def in_file(tmp_path, owner, attribute, value):
    (tmp_path / "m.pkl").write_bytes(op.pickled(op.new(owner, **{attribute: value})))
    return {finding.code for finding in inspect(tmp_path / "m.pkl").safety.findings}


@pytest.mark.parametrize("attribute", sorted(interpreted.TEXTS))
def test_each_attribute_of_text(attribute, tmp_path, monkeypatch):
    wrong = op.text(WRONG.get(attribute, "tofile.x"))
    assert "bad-text" in in_file(tmp_path, STACK, attribute, wrong)
    if attribute != "_parse_arg_template":
        sound = SOUND.get(attribute, op.text("predict"))
        assert "bad-text" not in in_file(tmp_path, STACK, attribute, sound)
    monkeypatch.delitem(interpreted.TEXTS, attribute)
    assert "bad-text" not in in_file(tmp_path, STACK, attribute, wrong)


@pytest.mark.parametrize(
    "value",
    [NORMAL, op.NONE, op.text("nb3"), op.raw(b"nb2")],
    ids=["object", "none", "another text", "bytes"],
)
def test_unpickling_compares_the_likelihood_with_text_only(value, tmp_path):
    key = "statsmodels.discrete.discrete_model:NegativeBinomial"
    assert "bad-text" in in_file(tmp_path, key, "loglike_method", value)
    assert "bad-text" not in in_file(tmp_path, key, "loglike_method", op.text("nb2"))


@pytest.mark.parametrize("attribute", sorted(interpreted.MEMBERS))
def test_each_attribute_with_members(attribute, tmp_path):
    named = op.EMPTY_LIST + op.many(op.text("a"), NORMAL, op.NONE) + op.APPEND
    assert "bad-member" in in_file(tmp_path, STACK, attribute, NORMAL)
    assert "bad-member" in in_file(tmp_path, STACK, attribute, named)
    assert "bad-member" not in in_file(tmp_path, STACK, attribute, op.NONE)


@pytest.mark.parametrize("attribute", ["to_numpy", "_mgr", "names"])
def test_pandas_copies_no_other_attributes(attribute, tmp_path):
    names = op.EMPTY_LIST + op.text(attribute) + op.APPEND
    assert "bad-text" in in_file(tmp_path, "pandas.core.frame:DataFrame", "_metadata", names)


@pytest.mark.parametrize("attribute", sorted(interpreted.ANYWHERE))
def test_text_is_checked_in_classes_that_are_trusted(attribute, tmp_path):
    path = tmp_path / "m.pkl"
    path.write_bytes(op.pickled(op.new("mine:Stack", **{attribute: op.text("_x")})))
    found = inspect(path, trust={"mine:Stack"}).safety
    assert found.verdict == "refuse"
    assert [finding.code for finding in found.findings if "attribute" not in finding.code] == [
        "bad-text"
    ]


@pytest.mark.parametrize(
    ("sampler", "is_sound"),
    [
        (op.text("rvs_fisher"), True),
        (op.text("rvs_wallenius"), True),
        (op.text("__class__"), False),
        (op.text("rvs_fisher_"), False),
        (op.NONE, False),
    ],
)
def test_a_distribution_draws_samples_by_its_own_methods(sampler, is_sound, tmp_path):
    owner = "scipy.stats._discrete_distns:nchypergeom_fisher_gen"
    found = in_file(tmp_path, owner, "rvs_name", sampler)
    assert ("bad-arguments" in found) == (not is_sound)


def test_text_is_checked_in_slots(tmp_path):
    state = op.many(op.NONE, op.table(stack_method_=op.text("_x")))
    path = tmp_path / "m.pkl"
    path.write_bytes(op.pickled(op.new("mine:Stack") + state + op.BUILD))
    assert inspect(path, trust={"mine:Stack"}).safety.verdict == "refuse"


def test_members_of_trusted_classes_are_not_checked(tmp_path):
    path = tmp_path / "m.pkl"
    path.write_bytes(op.pickled(op.new("mine:Stack", estimators_=NORMAL)))
    assert inspect(path, trust={"mine:Stack"}).safety.verdict == "pass"


def test_members_may_be_of_classes_that_are_trusted(tmp_path):
    path = tmp_path / "m.pkl"
    mine = op.new("mine:Model")
    steps = op.EMPTY_LIST + op.many(op.text("a"), mine) + op.APPEND
    path.write_bytes(op.pickled(op.new("sklearn.pipeline:Pipeline", steps=steps)))
    assert inspect(path).safety.verdict == "trust"


@pytest.mark.parametrize("key", ["lightgbm.basic:Booster", "xgboost.core:Booster"])
def test_a_booster_is_no_member_of_a_pipeline(key, tmp_path):
    steps = op.EMPTY_LIST + op.many(op.text("a"), op.new(key)) + op.APPEND
    assert "bad-member" in in_file(tmp_path, "sklearn.pipeline:Pipeline", "steps", steps)
    assert "bad-member" not in in_file(
        tmp_path, "lightgbm.sklearn:LGBMClassifier", "_Booster", op.new(key)
    )


def test_shared_members_cost_once(tmp_path):
    """Ensembles that share one list are looked at in one pass."""
    shared = op.EMPTY_LIST + op.MARK + op.NONE * 2_000 + op.APPENDS + op.MEMOIZE
    forest = "sklearn.ensemble._forest:RandomForestClassifier"
    first = op.new(forest, estimators_=shared)
    more = op.new(forest, estimators_=b"h\0") * 100
    (tmp_path / "m.pkl").write_bytes(op.pickled(op.MARK + first + more + op.TUPLE))
    looked = Counter()
    real = interpreted.members._is_member

    def counted(node):
        looked["members"] += 1
        return real(node)

    interpreted.members._is_member = counted
    try:
        inspect(tmp_path / "m.pkl")
    finally:
        interpreted.members._is_member = real
    assert looked["members"] < 4_000


# --- the review of the source ------------------------------------------------------------------


@pytest.fixture(scope="module")
def script():
    sys.path.insert(0, str(SCRIPTS))
    try:
        spec = importlib.util.spec_from_file_location(
            "make_interpreted", SCRIPTS / "make_interpreted.py"
        )
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(SCRIPTS))


def reviewed():
    return json.loads((SCRIPTS / "allowlist" / "reviewed_interpreted.json").read_text())


def test_each_position_has_a_decision(script):
    assert list(script.problems(reviewed())) == []
    assert len(reviewed()) > 150


def test_each_decision_for_the_inspector_is_in_its_table():
    tables = {"text": interpreted.TEXTS, "member": interpreted.MEMBERS}
    for position, entry in reviewed().items():
        attribute = position.partition(" ")[0].rpartition(".")[2]
        if entry["decision"] in tables:
            assert attribute in tables[entry["decision"]], position


def test_new_position_is_a_problem(script):
    found = {position: entry["seen"] for position, entry in reviewed().items()}
    table = script.reviews.merged({**found, "sklearn:New.way_ getattr": "2.0"}, reviewed())
    assert list(script.problems(table)) == ["sklearn:New.way_ getattr (in 2.0) was never reviewed"]


SOURCE = """
class Base:
    def _names(self):
        chosen = self.names
        return chosen

    def predict(self, X):
        for estimator, how in zip(self.estimators_, self.how_):
            getattr(estimator, how)(X)
        lookup(self.final_, self._names())
        return self.members_[0].inverse_transform(X)

    def transform(self, X):
        return TABLE[self.key](X), self.template.format(X), open(self.file)

    def fit(self, X):
        getattr(X, self.only_in_training)()


def lookup(estimator, names):
    return [getattr(estimator, name) for name in names]
"""


def test_values_are_followed_to_their_interpretation(script, tmp_path):
    package = tmp_path / "some"
    (package / "tests").mkdir(parents=True)
    (package / "base.py").write_text(SOURCE)
    (package / "tests" / "test_base.py").write_text(SOURCE.replace("how_", "not_this"))
    assert sorted(script.interpreted.read(package)) == [
        "some:Base.file open",
        "some:Base.how_ getattr",
        "some:Base.key lookup",
        "some:Base.members_ member",
        "some:Base.names getattr",
        "some:Base.template format",
    ]


def test_all_positions_in_the_installed_scikit_learn_are_reviewed(script):
    folder = Path(importlib.util.find_spec("sklearn").origin).parent
    assert set(script.interpreted.read(folder)) - reviewed().keys() == set()


PARTS = """
class Model:
    def _spec(self):
        return self.design

    def __setstate__(self, d):
        manager.get_matrices(d["formula"], d["frame"])


class GLM(Model):
    def anything(self, X):
        dmatrix(self._spec(), X)
        return getattr(X, getattr(self.link, "name"))

    def pattern(self, X):
        return X.convert(self.how), plain(self.other)


class Unlisted(Model):
    def predict(self, X):
        return getattr(X, self.not_held)

    def convert(self, how):
        return TABLE[how]


class OLS:
    def convert(self, how):
        return "to %s" % (how,), getattr(self, "to" + how)

    def plain(self, how):
        return eval(how)


def plain(how):
    return open(how)
"""


def test_parts_of_models_are_followed_in_all_methods_of_the_classes_that_models_hold(
    script, tmp_path
):
    package = tmp_path / "statsmodels"
    (package / "tests").mkdir(parents=True)
    (package / "model.py").write_text(PARTS)
    (package / "tests" / "other.py").write_text(PARTS.replace("how", "not_this"))
    assert sorted(script.read(package)) == [
        "statsmodels:GLM.design formula",
        "statsmodels:GLM.how getattr",
        "statsmodels:GLM.link getattr",
        "statsmodels:GLM.other open",
        "statsmodels:Model.formula formula",
    ]


LISTED_MODULES = """
class Model:
    def predict(self, X):
        return getattr(X, self.how)


class GLM(Model):
    def transform(self, X):
        return super().convert(self.other)


class OLS:
    def convert(self, how):
        return open(how)
"""
UNLISTED = """
class Model:
    def predict(self, X):
        return getattr(X, self.of_another_base)


class GLM(Model):
    def predict(self, X):
        return getattr(X, self.of_another_module)


class Unlisted(Model):
    def convert(self, how):
        return open(how)
"""


def test_parts_of_models_are_those_of_the_module_that_is_listed(script, tmp_path):
    """The class of another module with the same name is in no model, nor are its bases."""
    package = tmp_path / "statsmodels"
    (package / "genmod").mkdir(parents=True)
    (package / "sandbox").mkdir()
    (package / "genmod" / "generalized_linear_model.py").write_text(LISTED_MODULES)
    (package / "sandbox" / "gam.py").write_text(UNLISTED)
    assert sorted(script.read(package)) == ["statsmodels:Model.how getattr"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("statsmodels.base.model", ["statsmodels:Model.how getattr"]),
        ("statsmodels.api", ["statsmodels:Model.how getattr", "statsmodels:Model.word getattr"]),
    ],
    ids=["from its own module", "from a module that imports it"],
)
def test_a_base_is_that_of_the_module_it_is_imported_from(script, tmp_path, source, expected):
    package = tmp_path / "statsmodels"
    for folder in ("base", "genmod", "sandbox"):
        (package / folder).mkdir(parents=True)
    base = LISTED_MODULES.partition("class GLM")[0]
    (package / "base" / "model.py").write_text(base)
    (package / "sandbox" / "gam.py").write_text(base.replace("how", "word"))
    source_text = f"from {source} import Model\n\nclass GLM(Model):\n    pass\n"
    (package / "genmod" / "generalized_linear_model.py").write_text(source_text)
    assert sorted(script.read(package)) == expected


def test_all_libraries_are_read(script):
    packages = {position.partition(":")[0] for position in reviewed()}
    assert packages >= {"sklearn", "xgboost", "lightgbm", *script.parts.PACKAGES}
    named = {source.package for source in script.reviews.sources(data=True)}
    assert named >= script.parts.PACKAGES
    assert (
        not named
        - {source.package for source in script.reviews.sources()}
        - (script.parts.PACKAGES)
    )
