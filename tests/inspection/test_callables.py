"""Functions and types in estimators: each only where real models hold it.

The files are saved by the libraries or put together from opcodes, and only inspected; nothing that
is refused here is loaded.
"""

import collections
import functools
import importlib.util
import json
import pickle
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import opcodes as op
import pandas as pd
import pytest
import skops.io
import xgboost
from catboost import CatBoostClassifier
from category_encoders import OrdinalEncoder as CategoryEncoder
from imblearn import FunctionSampler
from lightgbm import LGBMClassifier
from scipy import special, stats
from scipy.spatial import distance
from sklearn import metrics
from sklearn.base import BaseEstimator
from sklearn.cluster import FeatureAgglomeration, KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest, chi2, f_regression
from sklearn.gaussian_process.kernels import RBF
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics.pairwise import pairwise_distances, rbf_kernel
from sklearn.model_selection import GridSearchCV, RepeatedKFold
from sklearn.neighbors import KDTree, KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    scale,
)
from sklearn.svm import SVC
from sklearn.utils import Bunch, check_array
from zoo import X

from modelpack.inspection import allowlist, callables, policy, verdicts
from modelpack.inspection.callables import names
from modelpack.inspection.inspector import inspect
from modelpack.types import ModelSpec, from_json, to_json

WAYS = [0, 2, 5, "joblib", "skops"]
FUNCTION = "sklearn.preprocessing._function_transformer:FunctionTransformer"


def saved(model, path, how):
    if how == "skops":
        skops.io.dump(model, path)
    elif how == "joblib":
        joblib.dump(model, path)
    else:
        path.write_bytes(pickle.dumps(model, how))
    return inspect(path).safety


def codes(spec):
    return {finding.code for finding in spec.findings}


def with_(estimator, **attributes):
    """An estimator with attributes that its constructor may refuse."""
    for name, value in attributes.items():
        setattr(estimator, name, value)
    return estimator


FIRST = make_pipeline(FunctionTransformer(np.ndarray), LogisticRegression())
TYPES = [
    np.ndarray, np.ma.MaskedArray, np.float64, np.str_, dict, list, str, object, set, bytes,
    pd.DataFrame, pd.Series, pd.Timestamp, KDTree,
]  # fmt: skip
# fmt: off
HOSTILE = {
    "step of a pipeline": lambda: FIRST,
    "column transformer": lambda: ColumnTransformer(
        [("a", FunctionTransformer(np.ndarray), [0])]),
    "inverse": lambda: FunctionTransformer(np.log1p, inverse_func=np.ndarray),
    "partial": lambda: FunctionTransformer(functools.partial(np.ndarray, dtype="i8")),
    "partial in a dict": lambda: with_(
        LogisticRegression(), C={"kernel": [functools.partial(np.ndarray)]}),
    "target": lambda: TransformedTargetRegressor(LinearRegression(), func=np.ndarray),
    "inverse of targets": lambda: TransformedTargetRegressor(
        LinearRegression(), inverse_func=np.ndarray),
    "names of columns": lambda: FunctionTransformer(np.log1p, feature_names_out=np.ndarray),
    "metric": lambda: KNeighborsClassifier(metric=np.ndarray),
    "metric that writes": lambda: KNeighborsClassifier(metric=np.positive),
    "fitted metric": lambda: with_(KNeighborsClassifier(), effective_metric_=np.ndarray),
    "weights": lambda: KNeighborsClassifier(weights=np.ndarray),
    "kernel": lambda: SVC(kernel=np.ndarray),
    "kernel that writes": lambda: SVC(kernel=np.square),
    "tokenizer": lambda: CountVectorizer(tokenizer=np.ndarray),
    "preprocessor": lambda: TfidfVectorizer(preprocessor=np.log1p),
    "analyzer": lambda: CountVectorizer(analyzer=list),
    "score of features": lambda: SelectKBest(np.ndarray),
    "pooling": lambda: FeatureAgglomeration(pooling_func=np.ndarray),
    "strategy": lambda: SimpleImputer(strategy=np.ndarray),
    "centres": lambda: KMeans(init=np.ndarray),
    "scoring": lambda: GridSearchCV(SVC(), {}, scoring=np.ndarray),
    "scorer": lambda: with_(
        metrics.make_scorer(metrics.f1_score), _score_func=np.ndarray),
    "dtype of another kind": lambda: OneHotEncoder(dtype=np.ndarray),
    "function as a dtype": lambda: CountVectorizer(dtype=np.log1p),
    "base estimator": lambda: BaggingClassifier(LogisticRegression),
    "unknown attribute": lambda: with_(LogisticRegression(), other_=np.ndarray),
    "keyword": lambda: FunctionTransformer(np.ravel, kw_args={"order": np.ndarray}),
    "function of a keyword": lambda: FunctionTransformer(
        pairwise_distances, kw_args={"metric": np.ndarray}),
    "keyword in an ordered dict": lambda: FunctionTransformer(
        pairwise_distances, kw_args=collections.OrderedDict(metric=np.ndarray)),
    "memory as it is": lambda: FunctionTransformer(np.log1p, kw_args={"where": False}),
    "written array": lambda: FunctionTransformer(np.log1p, kw_args={"out": np.zeros((1, 4))}),
    "written array of a metric": lambda: KNeighborsClassifier(
        metric=distance.cdist, metric_params={"out": np.zeros((1, 1))}),
    "keyword of a partial": lambda: SelectKBest(
        functools.partial(f_regression, out=np.zeros(1))),
    "inverse keyword": lambda: FunctionTransformer(
        np.log1p, inverse_func=np.expm1, inv_kw_args={"where": False}),
    "keyword of a subclass of text": lambda: FunctionTransformer(
        np.log1p, kw_args={np.str_("where"): False}),
    "keywords of a series": lambda: FunctionTransformer(
        np.log1p, kw_args=pd.Series([False], ["where"])),
    "keywords in an ordered dict": lambda: FunctionTransformer(
        np.log1p, kw_args=collections.OrderedDict(where=False)),
    "keywords in a bunch": lambda: FunctionTransformer(np.log1p, kw_args=Bunch(where=False)),
    "item of a bunch in an array": lambda: with_(
        LinearRegression(), coef_=np.array([Bunch(exp=np.ndarray)], object)),
    "method of a distribution": lambda: FunctionTransformer(stats.norm(0, 1).dist.rvs),
    "method of text": lambda: FunctionTransformer(str.lower),
    "one value of all rows": lambda: FunctionTransformer(np.max),
    "one value of columns": lambda: FunctionTransformer(np.max, kw_args={"axis": 0}),
    "objective of LightGBM": lambda: LGBMClassifier(objective=np.ndarray),
    "objective of XGBoost": lambda: xgboost.XGBClassifier(objective=np.ndarray),
    "measure of XGBoost": lambda: xgboost.XGBClassifier(eval_metric=np.ndarray),
    "loss of CatBoost": lambda: with_(CatBoostClassifier(), _init_params={"loss_function": dict}),
    "sampler": lambda: FunctionSampler(func=np.ndarray),
    "encoder": lambda: with_(CategoryEncoder(), mapping=[{"mapping": np.ndarray}]),
    "tuple": lambda: with_(LogisticRegression(), C=(1, [np.ndarray])),
    "set": lambda: with_(LogisticRegression(), C={np.ndarray}),
    "splitter": lambda: with_(RepeatedKFold(), cv=np.ndarray),
}
ALSO = {"partial", "partial in a dict", "base estimator"}
"""Cases that contracts and checks of members refuse, too."""
NOT_BY_SKOPS = {
    "one value of all rows",  # a function of numpy that it writes by another name
    "one value of columns", "partial in a dict", "loss of CatBoost", "method of text",
    "method of a distribution", "metric that writes", "scorer", "keywords of a series",
}

REAL = {
    "logarithm": lambda: FunctionTransformer(np.log1p, inverse_func=np.expm1),
    "sigmoid": lambda: FunctionTransformer(special.expit),
    "missing values": lambda: FunctionTransformer(np.nan_to_num, kw_args={"nan": 0.5}),
    "cast": lambda: FunctionTransformer(np.asarray, kw_args={"dtype": np.float32}),
    "flat": lambda: FunctionTransformer(np.ravel),
    "row means": lambda: FunctionTransformer(np.mean, kw_args={"axis": 1, "keepdims": True}),
    "row norms": lambda: FunctionTransformer(np.linalg.norm, kw_args={"axis": 1}),
    "scaled": lambda: FunctionTransformer(scale),
    "landmarks": lambda: FunctionTransformer(rbf_kernel, kw_args={"Y": X[:3]}),
    "distances": lambda: FunctionTransformer(
        pairwise_distances, kw_args={"Y": X[:3], "metric": distance.canberra}),
    "checked": lambda: FunctionTransformer(functools.partial(check_array, dtype=[np.float64])),
    "identity": FunctionTransformer,
    "target": lambda: TransformedTargetRegressor(
        LinearRegression(), func=np.log1p, inverse_func=np.expm1),
    "metric": lambda: KNeighborsClassifier(metric=distance.canberra),
    "metric of scikit-learn": lambda: KNeighborsClassifier(
        metric=metrics.pairwise.haversine_distances),
    "weights": lambda: KNeighborsClassifier(weights=np.reciprocal),
    "kernel": lambda: SVC(kernel=rbf_kernel),
    "kernel of a process": lambda: SVC(kernel=RBF()),
    "scores": lambda: SelectKBest(chi2),
    "scores by a partial": lambda: SelectKBest(functools.partial(f_regression, center=False)),
    "pooling": lambda: FeatureAgglomeration(pooling_func=np.median),
    "strategy": lambda: SimpleImputer(strategy=np.median),
    "types of codes": lambda: [
        OneHotEncoder(dtype=np.int8), OneHotEncoder(dtype=int), OrdinalEncoder(dtype=np.float32),
        CountVectorizer(dtype=np.int64), KBinsDiscretizer(dtype=np.float32)],
    "columns by type": lambda: ColumnTransformer([
        ("a", FunctionTransformer(scale), make_column_selector(dtype_include=[np.number, bool])),
        ("b", "drop", make_column_selector(dtype_exclude=object))]),
    "search": lambda: GridSearchCV(
        make_pipeline(FunctionTransformer(), SVC()),
        {"functiontransformer__func": [np.log1p, None], "svc__kernel": [rbf_kernel, "rbf"]},
        scoring={"a": metrics.make_scorer(metrics.f1_score), "b": "accuracy"}),
    "search over types": lambda: GridSearchCV(
        CountVectorizer(), {"dtype": [np.float32, np.float64]}),
    "splitter": RepeatedKFold,
    "measure of a forest": lambda: RandomForestClassifier(oob_score=metrics.accuracy_score),
    "measure": lambda: xgboost.XGBClassifier(eval_metric=metrics.log_loss),
    "text": lambda: CountVectorizer(preprocessor=str.lower, tokenizer=str.split),
    "names next to a model": lambda: {"model": LinearRegression(), "types": [np.float64, dict]},
}
# fmt: on


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("name", HOSTILE)
def test_names_in_other_positions_are_refused(name, how, tmp_path, monkeypatch):
    if how == "skops" and name in NOT_BY_SKOPS:
        pytest.skip("skops does not write it")
    altered = HOSTILE[name]()
    found = saved(altered, tmp_path / "m", how)
    assert found.verdict == "refuse"
    assert "bad-callable" in codes(found) or name in ALSO
    monkeypatch.setattr(policy.callables, "check", lambda _: [])
    if name not in ALSO:
        assert "bad-callable" not in codes(saved(altered, tmp_path / "again", how))


@pytest.mark.parametrize("how", [2, 5, "joblib", "skops"])
@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_no_type_is_the_function_of_a_transformer(kind, how, tmp_path):
    assert codes(saved(FunctionTransformer(kind), tmp_path / "m", how)) >= {"bad-callable"}


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("name", REAL)
def test_real_models_pass(name, how, tmp_path):
    if how == "skops" and name == "text":
        pytest.skip("methods of text are banned there")
    found = saved(REAL[name](), tmp_path / "m", how)
    assert codes(found) <= verdicts.NOTES


class Own(BaseEstimator):
    def __init__(self, func=None):
        self.func = func

    def transform(self, rows):
        return self.func(rows)


@pytest.mark.parametrize("kind", [str, float, list, np.float64, np.log1p, pd.DataFrame])
def test_own_classes_may_hold_types(kind, tmp_path):
    assert saved(Own(kind), tmp_path / "m", 5).verdict == "trust"


@pytest.mark.parametrize("kind", [np.ndarray, np.ma.MaskedArray, KDTree])
def test_no_class_makes_arrays_of_rows(kind, tmp_path):
    assert saved(Own(kind), tmp_path / "m", 5).verdict == "refuse"


def test_functions_of_the_user_are_accepted_in_every_position(tmp_path):
    steps = FunctionTransformer(Own.transform), CountVectorizer(tokenizer=Own.transform)
    assert saved(steps, tmp_path / "m", 5).verdict == "trust"


def in_file(tmp_path, body):
    (tmp_path / "m.pkl").write_bytes(op.pickled(body))
    return codes(inspect(tmp_path / "m.pkl").safety)


def test_keywords_of_python_2(tmp_path):
    """Python 2 pickles ordered dicts as pairs."""
    pairs = op.EMPTY_LIST + op.many(op.text("where"), op.FALSE) + op.APPEND
    keywords = op.call("collections:OrderedDict", pairs)
    body = op.new(FUNCTION, func=op.name("numpy:log1p"), kw_args=keywords)
    assert "bad-callable" in in_file(tmp_path, body)


def test_functions_of_old_numpy(tmp_path):
    """numpy before 1.20 pickles a ufunc as a call."""
    log = op.call("numpy.core:_ufunc_reconstruct", op.text("numpy"), op.text("log1p"))
    assert "bad-callable" not in in_file(tmp_path, op.new(FUNCTION, func=log))
    neighbours = "sklearn.neighbors._classification:KNeighborsClassifier"
    assert "bad-callable" in in_file(tmp_path, op.new(neighbours, metric=log))


def test_states_by_position_hold_no_names(tmp_path):
    body = op.call(
        "sklearn.neighbors._kd_tree:newObj", op.name("sklearn.neighbors._kd_tree:KDTree")
    )
    body += op.many(op.name("numpy:log1p"), op.NONE) + op.BUILD
    assert "bad-callable" in in_file(tmp_path, body)


def test_attributes_past_the_dict_are_looked_at(tmp_path):
    state = op.many(op.NONE, op.table(func=op.name("numpy:ndarray")))
    assert "bad-callable" in in_file(tmp_path, op.new(FUNCTION) + state + op.BUILD)


@pytest.mark.parametrize("attribute", sorted({*names.FUNCTIONS, *names.TEXT, "dtype"}))
def test_each_position_has_its_names(attribute, tmp_path):
    """A position admits exactly the known names that have one of its roles."""
    roles = set(names.admitted(attribute))
    keys = [key for key in allowlist._table() if "ref" in allowlist.roles(key)]
    assert len(keys) > 1_000
    for key in keys:
        problem = in_names(key, attribute)
        assert bool(problem) != bool(roles & names.roles_of(key)), key


def in_names(key, attribute):
    return callables._Walk().problem(attribute, callables.Global(key, 0, ""))


def test_the_message_names_class_attribute_and_role(tmp_path):
    found = saved(FIRST, tmp_path / "m", 5)
    assert [finding.message for finding in found.findings if finding.code == "bad-callable"] == [
        "func of sklearn.preprocessing._function_transformer.FunctionTransformer contains the "
        "constructor numpy.ndarray, which no model has there"
    ]


def test_shared_containers_cost_once(tmp_path, monkeypatch):
    """Estimators that share a list of names are looked at in one pass."""
    shared = op.EMPTY_LIST + op.MARK + op.name("numpy:log1p") * 1_000 + op.APPENDS + op.MEMOIZE
    body = op.MARK + op.new(FUNCTION, func=shared) + op.new(FUNCTION, func=b"h\0") * 200 + op.TUPLE
    looked = collections.Counter()
    real = callables._name_problem

    def counted(where, node):
        looked["names"] += 1
        return real(where, node)

    monkeypatch.setattr(callables, "_name_problem", counted)
    assert "bad-callable" not in in_file(tmp_path, body)
    assert 1_000 < looked["names"] < 2_000


def installed():
    """Names of the allowlist that the installed libraries have, with what they are."""
    for key in allowlist._table():
        module, _, name = key.partition(":")
        if "ref" in allowlist.roles(key) and module != "builtins":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    value = getattr(importlib.import_module(module), name)
                except (ImportError, AttributeError):
                    continue
            yield key, value


def test_roles_exist_in_the_libraries():
    """Types are no functions, and a ufunc is never called with two arrays."""
    counts = collections.Counter()
    for key, value in installed():
        roles = names.roles_of(key)
        is_type = isinstance(value, type)
        counts[is_type] += 1
        assert is_type == bool(roles & {"dtype", "class", "index", "constructor"}), key
        assert (roles == {"value"}) == (key.endswith(":NA")), key
        if isinstance(value, np.ufunc):
            assert roles == {"function of rows"}, key
        if "dtype" in roles:
            assert issubclass(value, np.generic), key
    assert counts[False] > 300
    assert counts[True] > 60


# --- the review of the source ------------------------------------------------------------------

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def script():
    sys.path.insert(0, str(SCRIPTS))
    try:
        spec = importlib.util.spec_from_file_location(
            "make_positions", SCRIPTS / "make_positions.py"
        )
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(SCRIPTS))


def reviewed():
    return json.loads((SCRIPTS / "allowlist" / "reviewed_positions.json").read_text())


def test_each_parameter_has_the_decision_of_the_inspector(script):
    assert list(script.problems(reviewed())) == []
    assert len(reviewed()) > 40


def test_parameters_without_or_with_another_decision_are_problems(script):
    found = {position: entry["seen"] for position, entry in reviewed().items()}
    table = script.reviews.merged({**found, "sklearn:new_func": "2.0"}, reviewed())
    table["sklearn:metric"]["decision"] = "dtype"
    assert list(script.problems(table)) == [
        "sklearn:metric is decided otherwise than the inspector does",
        "sklearn:new_func (in 2.0) was never reviewed",
    ]


SOURCE = '''
class Base:
    """An estimator.

    Parameters
    ----------
    first, second : str or callable
        What is called.
    third : int
    kind : data-type
    """

    _parameter_constraints: dict = {"fourth": [str, callable], "third": [int]}

    def __init__(self, first, second, third, fourth, fifth):
        """
        Parameters
        ----------
        fifth: list or numpy dtype
        other: function
        """
'''


def test_parameters_are_read_from_constraints_and_docstrings(script, tmp_path):
    (tmp_path / "some" / "tests").mkdir(parents=True)
    (tmp_path / "some" / "base.py").write_text(SOURCE)
    (tmp_path / "some" / "tests" / "test_base.py").write_text(SOURCE.replace("first", "sixth"))
    assert sorted(script.positions.read(tmp_path / "some")) == [
        f"some:{name}" for name in ("fifth", "first", "fourth", "second")
    ]


@pytest.mark.parametrize("package", ["sklearn", "lightgbm", "imblearn", "category_encoders"])
def test_the_installed_libraries_have_no_parameter_that_was_not_reviewed(package, script):
    folder = Path(importlib.util.find_spec(package).origin).parent
    assert set(script.positions.read(folder)) <= reviewed().keys()


# --- what is listed ------------------------------------------------------------------------------


def positions_and_roles(model, path, how=5):
    joblib.dump(model, path) if how == "joblib" else path.write_bytes(pickle.dumps(model, how))
    found = inspect(path, trust=[f"{__name__}:Own", f"{__name__}:Own.transform"])
    return [(each.position, each.name, each.role) for each in found.callable_positions]


@pytest.mark.parametrize("how", [2, 5, "joblib"])
def test_each_callable_is_listed_with_its_position_and_role(how, tmp_path):
    model = make_pipeline(
        FunctionTransformer(np.mean, kw_args={"axis": 1}),
        FunctionTransformer(functools.partial(check_array, dtype=[np.float32])),
        OneHotEncoder(dtype=np.int8),
        KNeighborsClassifier(metric=distance.canberra),
    )
    listed = positions_and_roles(
        {"model": model, "types": (dict, pd.DataFrame)}, tmp_path / "m", how
    )
    assert listed[:5] == [
        ("['model'].steps[0][1].func", "numpy:mean", "reduction"),
        ("['model'].steps[1][1].func.func", "sklearn.utils.validation:check_array",
         "function of rows"),
        ("['model'].steps[1][1].func.keywords['dtype'][0]", "numpy:float32", "dtype"),
        ("['model'].steps[2][1].dtype", "numpy:int8", "dtype"),
        ("['model'].steps[3][1].metric", "scipy.spatial.distance:canberra", "function of pairs"),
    ]  # fmt: skip


def test_types_in_other_positions_are_listed(tmp_path):
    found = positions_and_roles({"types": (dict, np.ndarray)}, tmp_path / "m", 5)
    assert [role for _, _, role in found] == ["constructor", "constructor"]
    assert [position for position, _, _ in found] == ["['types'][0]", "['types'][1]"]


def test_callables_of_the_author_and_methods_are_listed(tmp_path):
    model = [CountVectorizer(tokenizer=str.split, preprocessor=Own.transform)]
    assert sorted(positions_and_roles(model, tmp_path / "m")) == [
        ("[0].dtype", "numpy:int64", "dtype"),
        ("[0].preprocessor", f"{__name__}:Own.transform", "unknown"),
        ("[0].tokenizer", "builtins:str.split", "method"),
    ]


def test_refused_callables_are_listed(tmp_path):
    assert positions_and_roles(FIRST, tmp_path / "m") == [
        ("steps[0][1].func", "numpy:ndarray", "constructor")
    ]


class Lookup:
    def __init__(self, *arguments):
        self.arguments = arguments

    def __reduce__(self):
        return getattr, self.arguments


@pytest.mark.parametrize("holder", [1, "text", (), None])
def test_lookup_in_a_value_without_attributes_is_refused_and_not_listed(holder, tmp_path):
    path = tmp_path / "m"
    path.write_bytes(pickle.dumps(Lookup(holder, "real")))
    spec = inspect(path)
    assert spec.safety.verdict == "refuse"
    assert spec.callable_positions == ()


def test_positions_are_plain_text(tmp_path):
    found = positions_and_roles(
        {"a\n'é": np.log1p, 5: np.exp, (1,): np.sin, "x" * 500: np.cos}, tmp_path / "m"
    )
    positions_ = [position for position, _, _ in found]
    assert all(position.isprintable() for position in positions_)
    assert "\u00e9" in positions_[0]
    assert all(len(position) < 100 for position in positions_)
    assert positions_[1:3] == ["[5]", "[...]"]


def test_a_long_position_is_cut(tmp_path):
    held = np.log1p
    for _ in range(100):
        held = {"a long key": held}
    assert [len(position) for position, _, _ in positions_and_roles(held, tmp_path / "m")] == [403]


def test_a_bounded_number_is_listed(tmp_path):
    assert len(positions_and_roles([[np.log1p] for _ in range(3_000)], tmp_path / "m")) == 1_000


def test_positions_of_several_files_name_the_file(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(pickle.dumps(CountVectorizer()))
    found = inspect(tmp_path / "a", tmp_path / "b").callable_positions
    assert [each.position for each in found] == ["a: dtype", "b: dtype"]


def test_positions_come_back_from_json(tmp_path):
    (tmp_path / "m").write_bytes(pickle.dumps(FunctionTransformer(np.log1p)))
    spec = inspect(tmp_path / "m")
    assert from_json(ModelSpec, json.loads(json.dumps(to_json(spec)))) == spec
    assert to_json(spec)["callable_positions"] == [
        {"name": "numpy:log1p", "position": "func", "role": "function of rows"}
    ]
