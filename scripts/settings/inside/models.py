"""Cases: a class with settings, alone and in models around it, with the data that they take."""

import importlib
import warnings

import numpy as np
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.feature_selection import SelectKBest, chi2
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    PolynomialFeatures,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from . import data, values

MODULES = [
    "ensemble", "naive_bayes", "cluster", "compose", "pipeline", "decomposition", "preprocessing",
    "impute", "linear_model", "discriminant_analysis", "svm", "neural_network", "feature_selection",
    "feature_extraction.text", "feature_extraction", "tree", "calibration", "dummy", "frozen",
    "model_selection", "multioutput", "multiclass", "covariance", "cross_decomposition",
    "kernel_approximation", "kernel_ridge", "mixture", "neighbors", "random_projection",
    "semi_supervised",
]  # fmt: skip
EXPERIMENTAL = (
    "enable_hist_gradient_boosting", "enable_halving_search_cv", "enable_iterative_imputer",
)  # fmt: skip
TEXTS = {"CountVectorizer", "TfidfVectorizer", "HashingVectorizer"}
ENCODERS = {"OneHotEncoder", "OrdinalEncoder", "TargetEncoder"}
BOTH = {"SimpleImputer", "MissingIndicator"}
"""Classes that take numbers and columns of a frame."""
KINDS = ["normal", "missing", "counts", "positive", "steps", "tiny", "float32", "int64"]
"""The kinds of numbers to train on."""
MEMBERS = "estimator base_estimator estimators final_estimator regressor steps transformers " \
    "transformer_list param_grid param_distributions func inverse_func transformer"  # fmt: skip
COMBINED = {
    "unknown_value": {"handle_unknown": "use_encoded_value"},
    "quantile": {"loss": "quantile", "strategy": "quantile"},
    "constant": {"strategy": "constant"},
    "break_ties": {"decision_function_shape": "ovr"},
    "l1_ratio": {"solver": "saga", "penalty": "elasticnet"},
}
"""Parameters whose values need those of others."""


class Case:
    """A fitted `model`, the `layout` and `names` of its plan, and `groups` of rows, each as the
    estimator takes them and as the plan does.
    """

    def __init__(self, model, layout, names, groups, context):
        self.model, self.layout, self.names = model, layout, names
        self.groups, self.context = groups, context


def classes():
    """Return the planned classes that this release of scikit-learn has, by name."""
    from modelpack.serving.runtimes.plans.parameters import PARAMETERS

    for name in EXPERIMENTAL:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                importlib.import_module("sklearn.experimental." + name)
            except ImportError:
                continue
    found = {}
    for module in MODULES:
        try:
            holder = importlib.import_module("sklearn." + module)
        except ImportError:
            continue
        found.update((name, getattr(holder, name)) for name in PARAMETERS if hasattr(holder, name))
    return dict(sorted(found.items()))


def is_classifier(kind):
    names = ("Classif", "SVC", "NB", "Logistic", "Perceptron", "Discriminant", "OneVsRest")
    return any(name in kind.__name__ for name in names)


def options(kind):
    """Return the values to try of each parameter, those of members of other estimators included."""
    chosen = values.candidates(kind, skipped=set(MEMBERS.split()))
    chosen.update(members(kind))
    return chosen


def members(kind):
    """Return the estimators that a class needs, and others that it may be given."""
    name = kind.__name__
    if is_classifier(kind):
        pool = [LogisticRegression(), DecisionTreeClassifier(max_depth=3), GaussianNB(),
                RandomForestClassifier(3, random_state=0), LinearSVC(), SVC()]  # fmt: skip
    else:
        pool = [Ridge(), DecisionTreeRegressor(max_depth=3), LinearRegression(),
                RandomForestRegressor(3, random_state=0)]  # fmt: skip
    inner = "estimator" if "estimator" in kind._get_param_names() else "base_estimator"
    pairs = [[("a", one), ("b", other)] for one, other in zip(pool, [*pool[1:], pool[0]])]
    tuned = [LogisticRegression(), RandomForestClassifier(3, random_state=0), SVC()]
    selecting = [Ridge(), *tuned[:2]]
    grid = {"class_weight": [None, "balanced"]}
    parts = [("a", StandardScaler()), ("b", PCA(2)), ("c", PolynomialFeatures())]
    columns = [(key, step, where) for (key, step), where in zip(parts, ([0, 2], [1, 3], [4]))]
    several = {
        "AdaBoost": {inner: [None, pool[1]]},
        "Bagging": {inner: [None, *pool[:3]]},
        "Calibrated": {inner: pool},
        "MultiOutput": {inner: pool},
        "GridSearch": {inner: tuned, "param_grid": [grid]},
        "HalvingGridSearch": {inner: tuned, "param_grid": [grid]},
        "RandomizedSearch": {inner: tuned, "param_distributions": [grid]},
        "HalvingRandomSearch": {inner: tuned, "param_distributions": [grid]},
        "RFE": {inner: selecting},
        "SelectFromModel": {inner: selecting},
        "SequentialFeatureSelector": {inner: selecting},
        "OneVsRest": {inner: pool},
        "RANSAC": {inner: [None, Ridge()]},
        "TransformedTarget": {"regressor": pool, "transformer": [StandardScaler(), None]},
        "Frozen": {"estimator": [Ridge()]},
        "Pipeline": {"steps": [[("s", StandardScaler()), ("p", each)] for each in pool]},
        "FunctionTransformer": {"func": [None, np.log1p, np.exp, np.cbrt, np.abs]},
        "Stacking": {"estimators": pairs, "final_estimator": [None, *pool[1:3]]},
        "Voting": {"estimators": pairs},
        "FeatureUnion": {"transformer_list": [parts, parts[::-1], parts[1:]]},
        "ColumnTransformer": {"transformers": [columns, columns[::-1], columns[1:]]},
    }
    return next((found for start, found in several.items() if name.startswith(start)), {})


def agreeing(kind, settings, number):
    """Return settings without values that contradict each other, as far as that is known."""
    adapted = dict(settings)
    name, solver = kind.__name__, settings.get("solver")
    if name == "OrdinalEncoder":
        is_whole = np.dtype(adapted.get("dtype", float)).kind != "f"
        unknown = adapted.pop("unknown_value", None)
        if adapted.get("handle_unknown") == "use_encoded_value":
            is_wrong = unknown is None or (is_whole and unknown != unknown)  # noqa: PLR0124
            adapted["unknown_value"] = -1 if is_wrong else unknown
        if is_whole and "encoded_missing_value" in kind._get_param_names():
            adapted["encoded_missing_value"] = 120
    if name.startswith("LogisticRegression") and number % 4:
        adapted.pop("dual", None)
        adapted.pop("multi_class", None)
        if adapted.get("penalty") in ("l1", "elasticnet") and solver != "saga":
            adapted["penalty"] = "l2"
    return adapted


def case(kind, settings, number, generator, extremes):
    """Return a fitted case of a class.

    Raises:
        Exception: whatever the estimator raises, which does not take these settings.
    """
    settings, known = agreeing(kind, settings, number), kind._get_param_names()
    settings = {
        name: clone(value) if hasattr(value, "get_params") else value
        for name, value in settings.items()
        if name in known
    }
    part = kind(**settings)
    name = kind.__name__
    if name in TEXTS:
        return _texts_case(part, number, generator)
    if name == "DictVectorizer":
        return _dicts_case(part, number, generator)
    if name == "TfidfTransformer":
        return _texts_case(make_pipeline(CountVectorizer(), part), number, generator)
    if name in ENCODERS or (name in BOTH and number % 2):
        return _table_case(part, number, generator)
    return _numbers_case(part, name, number, generator, extremes)


def _numbers_case(part, name, number, generator, extremes):
    """Try kinds of training data, from the one whose turn it is, until one fits."""
    problem = None
    for shift in range(4):
        kind = KINDS[(number + 2 * shift) % len(KINDS)]
        rows = data.numbers(kind, generator)
        if name == "FrozenEstimator":
            part.estimator.fit(np.nan_to_num(rows), rows.sum(axis=1))
        model, context = _around_numbers(part, name, number)
        target = _target(part, name, number, generator, rows)
        as_frame = number % 3 == 2
        names = [f"x{n}" for n in range(rows.shape[1])]
        inputs = data.pd.DataFrame(rows, columns=names) if as_frame else rows
        try:
            model = clone(model) if name != "FrozenEstimator" else model
            model.fit(inputs, target)
        except Exception as error:
            problem = error
            continue
        groups = data.questions(rows, generator, extremes)
        context += f" on {kind}{' frame' if as_frame else ''}"
        if not as_frame:
            pairs = [(order(each), order(each)) for each in groups for order in _orders(each)]
            return Case(model, "array", names, pairs, context)
        pairs = [(data.pd.DataFrame(dict(zip(names, each.T))), list(np.array(each.T)))
                 for each in groups]  # fmt: skip
        return Case(model, "frame", names, pairs, context)
    raise problem or ValueError("no kind of data fits")


def _orders(rows):
    return [np.ascontiguousarray] + ([np.asfortranarray] if len(rows) > 1 else [])


def _target(part, name, number, generator, rows):
    signal = np.nan_to_num(np.asarray(rows, np.float64)).sum(axis=1)
    if name == "MultiOutputClassifier":
        pair = [data.targets("two", generator, signal), data.targets("two", generator, -signal)]
        return np.stack(pair, axis=1)
    if is_classifier(type(part)) or name.endswith("SearchCV"):
        kind = ["two", "three", "nine", "flags"][number % 4]
    elif name.startswith("MultiTask") or name == "MultiOutputRegressor":
        kind = "several"
    elif name.startswith(("Gamma", "Poisson", "Tweedie", "TransformedTarget")):
        kind = "positive"
    elif hasattr(part, "predict") and not name.startswith(("RFE", "Isolation", "KMeans")):
        kind = "several" if number % 5 == 4 else "number"
    else:
        kind = "two"
    return data.targets(kind, generator, signal)


def _around_numbers(part, name, number):
    """Return a model with the part at its end, or in its middle."""
    if hasattr(part, "predict") and not name.startswith("RFE"):
        before = [[], [StandardScaler()], [SimpleImputer(add_indicator=True)], [],
                  [RobustScaler(), PCA(3)], [SimpleImputer(), QuantileTransformer(n_quantiles=20)],
                  [FunctionTransformer(), MinMaxScaler()]][number % 7]  # fmt: skip
        steps = [*before, part]
    else:
        after = [[], [LogisticRegression()], [StandardScaler(), _boosting()], [Ridge()],
                 [GaussianNB()], [RobustScaler(), DecisionTreeClassifier(max_depth=4)],
                 [FeatureUnion([("m", MinMaxScaler()), ("p", PolynomialFeatures())]), SVC()],
                 ][number % 7]  # fmt: skip
        before = [StandardScaler()] if number % 4 == 3 and name != "PowerTransformer" else []
        steps = [*before, part, *after]
    return (steps[0] if len(steps) == 1 else make_pipeline(*steps)), _names(steps)


def _boosting():
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(max_iter=3)


def _names(steps):
    return "+".join(type(step).__name__ for step in steps)


AFTER_CODES = (
    lambda: [],
    lambda: [LogisticRegression()],
    lambda: [DecisionTreeClassifier(max_depth=8)],
    lambda: [StandardScaler(with_mean=False), Ridge()],
    lambda: [TruncatedSVD(1)],
    lambda: [FunctionTransformer(np.log1p, accept_sparse=True), LogisticRegression()],
    lambda: [RandomForestClassifier(3, random_state=0)],
)
COLUMNS = (
    ["many"],
    ["many", "few", "gaps"],
    ["many", "code"],
    ["gaps"],
    ["code", "many"],
    ["few", "flag"],
    ["many", "few"],
)


def _table_case(part, number, generator):
    frame = data.table(generator)
    names = COLUMNS[number % len(COLUMNS)]
    if type(part).__name__ in BOTH:
        names = [["gaps"], ["few", "gaps"], ["size", "code"], ["size"]][number // 2 % 4]
        if not is_text(frame[names[0]]):
            frame.loc[generator.random(len(frame)) < 0.2, "size"] = np.nan
    after = AFTER_CODES[number % len(AFTER_CODES)]()
    is_number = type(part).__name__ == "TargetEncoder" or any(isinstance(s, Ridge) for s in after)
    kind = "two" if is_number else ["two", "three"][number % 2]
    target = data.targets(kind, generator, frame["code"] + frame["size"].fillna(0))
    layout = ["frame", "columns", "array"][number // 2 % 3]
    if layout == "array" and not all(is_text(frame[name]) for name in names):
        layout = "frame"
    first = part
    if layout == "columns":
        others = [name for name in ("size", "code") if name not in names]
        branches = [("c", part, names), ("n", StandardScaler(), others)]
        kept = {
            "remainder": ["drop", "passthrough"][number % 2],
            "sparse_threshold": [0, 0.3, 1][number % 3],
        }
        first = ColumnTransformer(branches if number % 4 else branches[::-1], **kept)
        names = [*names, *others]
    steps = [first, *after]
    model = steps[0] if len(steps) == 1 else make_pipeline(*steps)
    frame = frame[names]
    inputs = frame.to_numpy() if layout == "array" else frame
    model.fit(inputs, target)
    unusual = data.unusual(frame)
    singles = [unusual.iloc[n : n + 1] for n in range(len(unusual))]
    pairs = []
    for rows in [frame, frame.iloc[:7], unusual, *singles]:
        columns = [_column(rows[name]) for name in names]
        if layout == "array":
            columns = [column.astype(object) for column in columns]
            pairs.append((np.column_stack(columns), columns))
        else:
            queries = {name: data.pd.Series(c, dtype=c.dtype) for name, c in zip(names, columns)}
            pairs.append((data.pd.DataFrame(queries), columns))
    context = f"{_names(steps)} of {','.join(names)} in {layout}"
    return Case(model, "array" if layout == "array" else "frame", names, pairs, context)


def is_text(column):
    return column.dtype.kind not in "ifb"


def _column(column):
    values = column.to_numpy()
    return values if values.dtype.kind in "ifb" else np.array(values.tolist(), object)


def _texts_case(part, number, generator):
    texts = data.texts(generator)
    target = np.arange(len(texts)) % 3
    after = [[], [LogisticRegression()], [TfidfTransformer(), LinearSVC()], [MultinomialNB()],
             [SelectKBest(chi2, k=2), LogisticRegression()], [TruncatedSVD(2)],
             [DecisionTreeClassifier()]][number % 7]  # fmt: skip
    if type(part).__name__ == "HashingVectorizer" and number % 7 in (3, 4, 5):
        after = [LinearSVC()]
    steps = (
        [*(step for _, step in part.steps), *after]
        if isinstance(part, Pipeline)
        else [part, *after]
    )
    model = steps[0] if len(steps) == 1 else make_pipeline(*steps)
    queries = [texts, data.ODD_TEXTS, *[[text] for text in data.ODD_TEXTS]]
    if number % 4 == 3:
        model = make_pipeline(ColumnTransformer([("t", steps[0], "text")]), *steps[1:])
        model.fit(data.pd.DataFrame({"text": np.array(texts, object)}), target)
        columns = [np.array(each, object) for each in queries]
        pairs = [(data.pd.DataFrame({"text": each}), [each]) for each in columns]
        return Case(model, "frame", ["text"], pairs, _names(steps) + " in a column")
    model.fit(texts, target)
    return Case(model, "text", ["text"], [(each, each) for each in queries], _names(steps))


def _dicts_case(part, number, generator):
    rows = data.dicts(generator)
    after = [[], [LogisticRegression()], [Ridge()], [DecisionTreeClassifier()],
             [StandardScaler(with_mean=False), LinearSVC()]][number % 5]  # fmt: skip
    steps = [part, *after]
    model = steps[0] if len(steps) == 1 else make_pipeline(*steps)
    model.fit(rows, np.arange(len(rows)) % 2)
    queries = [rows, data.ODD_DICTS, *[[row] for row in data.ODD_DICTS]]
    return Case(model, "dicts", ["n"], [(each, each) for each in queries], _names(steps))
