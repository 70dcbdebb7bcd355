"""Models made of models, and models that hold what `fit` alone does not put there."""

import numpy as np

import samples as s


def makers():
    """name -> function, of every composite; one that a release does not have fails."""
    found = [v for k, v in globals().items() if k.startswith("composite_")]
    return {"composite-" + make.__name__[10:]: make for make in found}


def _logistic(**parameters):
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(**dict({"solver": "lbfgs"}, **parameters))


def _columns():
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return ColumnTransformer(
        [("numbers", numbers, ["size"]), ("words", CountVectorizer(), "words"),
         ("kinds", OneHotEncoder(handle_unknown="ignore"), ["colour"])],
        remainder="drop",
    )  # fmt: skip


def composite_columns():
    from sklearn.pipeline import make_pipeline

    return [make_pipeline(_columns(), _logistic()).fit(s.frame(), s.BINARY)]


def composite_columns_and_the_rest():
    from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
    from sklearn.preprocessing import OrdinalEncoder, StandardScaler

    frame = s.frame()[["size", "colour"]]
    scaled = ColumnTransformer([("a", OrdinalEncoder(), ["colour"])], remainder="passthrough")
    selected = make_column_transformer(
        (StandardScaler(), make_column_selector(dtype_include=np.number)),
        (OrdinalEncoder(), make_column_selector(pattern="col")),
    )
    return [scaled.fit(frame), selected.fit(frame)]


def composite_remainder_of_an_estimator():
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import StandardScaler

    columns = ColumnTransformer([("a", "passthrough", [0])], remainder=StandardScaler())
    flags = ColumnTransformer([("a", StandardScaler(), slice(0, 2)),
                               ("b", "drop", [True, False, False, False])])  # fmt: skip
    return [columns.fit(s.X), flags.fit(s.X)]


def composite_pandas_output():
    from sklearn.preprocessing import StandardScaler

    return [StandardScaler().set_output(transform=kind).fit(s.X) for kind in ("pandas", "default")]


def composite_metadata():
    import sklearn

    sklearn.set_config(enable_metadata_routing=True)
    try:
        model = _logistic().set_fit_request(sample_weight=True).set_score_request(sample_weight="w")
        return [model.fit(s.X, s.BINARY)]
    finally:
        sklearn.set_config(enable_metadata_routing=False)


def composite_union():
    from sklearn.decomposition import PCA
    from sklearn.pipeline import FeatureUnion
    from sklearn.preprocessing import FunctionTransformer

    parts = [("a", PCA(2)), ("b", FunctionTransformer(np.log1p, np.expm1, validate=True))]
    return [FeatureUnion(parts, transformer_weights={"a": 2}).fit(s.X)]


def composite_functions():
    from scipy import special
    from sklearn.preprocessing import FunctionTransformer

    functions = (np.log1p, np.sqrt, np.nan_to_num, special.expit, None)
    return [FunctionTransformer(f, validate=True, kw_args={}).fit(s.X) for f in functions]


def composite_target():
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.linear_model import LinearRegression
    from sklearn.preprocessing import QuantileTransformer

    regressor, scaler = LinearRegression(), QuantileTransformer(n_quantiles=5)
    models = [TransformedTargetRegressor(regressor, func=np.log1p, inverse_func=np.expm1),
            TransformedTargetRegressor(regressor, transformer=scaler)]  # fmt: skip
    return [model.fit(s.X, np.abs(s.NUMBERS)) for model in models]


def composite_grid():
    from sklearn.metrics import f1_score, make_scorer
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    pipeline = Pipeline([("scale", StandardScaler()), ("model", _logistic())])
    grid = {
        "model__C": np.logspace(0, 1, 2),
        "scale": [StandardScaler(), StandardScaler(with_mean=False)],
    }
    plain = GridSearchCV(pipeline, {"model__C": [1, 2]}, cv=2, scoring="roc_auc")
    scored = GridSearchCV(pipeline, grid, cv=2, scoring=make_scorer(f1_score))
    several = GridSearchCV(_logistic(), [{"C": [1]}, {"C": range(1, 3)}], cv=2, refit="accuracy",
                           scoring={"accuracy": "accuracy", "f": "f1"})  # fmt: skip
    return [model.fit(s.X, s.BINARY) for model in (plain, scored, several)]


def composite_randomized():
    from scipy import stats
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import KFold, RandomizedSearchCV

    space = {
        "max_depth": stats.randint(1, 5),
        "max_features": stats.uniform(0.1, 0.8),
        "min_samples_split": getattr(stats, "loguniform", stats.uniform)(0.1, 0.9),
    }
    forest = RandomForestClassifier(2)
    search = RandomizedSearchCV(forest, space, n_iter=2, cv=KFold(2), random_state=0)
    return [search.fit(s.X, s.BINARY)]


def composite_halving():
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingGridSearchCV, HalvingRandomSearchCV

    kinds = ((HalvingGridSearchCV, {"C": [1, 2]}), (HalvingRandomSearchCV, {"C": [1, 2, 3]}))
    return [kind(_logistic(), space, cv=2).fit(s.X, s.BINARY) for kind, space in kinds]


def composite_stacked():
    from sklearn.ensemble import StackingClassifier, StackingRegressor
    from sklearn.linear_model import Ridge
    from sklearn.svm import SVC

    pair = [("a", _logistic()), ("b", SVC(gamma="scale"))]
    numbers = StackingRegressor([("a", Ridge()), ("b", Ridge(2))], Ridge(), cv=2)
    return [StackingClassifier(pair, cv=2).fit(s.X, s.LABELS), numbers.fit(s.X, s.NUMBERS)]


def composite_voting():
    from sklearn.ensemble import VotingClassifier
    from sklearn.naive_bayes import GaussianNB

    pair = [("a", _logistic()), ("b", GaussianNB())]
    return [VotingClassifier(pair, voting=how).fit(s.X, s.LABELS) for how in ("soft", "hard")]


def composite_calibrated():
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.svm import LinearSVC

    return [CalibratedClassifierCV(LinearSVC(), method=how, cv=2).fit(s.X, target)
            for how in ("sigmoid", "isotonic") for target in (s.BINARY, s.LABELS)]  # fmt: skip


def composite_frozen():
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator
    from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV

    frozen = FrozenEstimator(_logistic().fit(s.X, s.BINARY))
    wrappers = (FixedThresholdClassifier(frozen), TunedThresholdClassifierCV(_logistic(), cv=2),
                CalibratedClassifierCV(frozen))  # fmt: skip
    return [model.fit(s.X, s.BINARY) for model in wrappers]


def composite_several_classes():
    from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
    from sklearn.multioutput import ClassifierChain, MultiOutputClassifier

    each = (OneVsRestClassifier, OneVsOneClassifier, OutputCodeClassifier)
    found = [kind(_logistic()).fit(s.X, s.LABELS) for kind in each]
    found.append(OneVsRestClassifier(_logistic()).fit(s.X, s.SEVERAL * [0, 1]))
    found += [kind(_logistic()).fit(s.X, s.SEVERAL)
              for kind in (ClassifierChain, MultiOutputClassifier)]  # fmt: skip
    return found


def composite_boosted():
    from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, GradientBoostingClassifier
    from sklearn.linear_model import LinearRegression, Perceptron

    started = GradientBoostingClassifier(n_estimators=2, init=_logistic())
    bags = BaggingClassifier(Perceptron(tol=None, max_iter=5), n_estimators=2)
    return [started.fit(s.X, s.BINARY), bags.fit(s.X, s.BINARY), LinearRegression(),
            AdaBoostClassifier(n_estimators=2).fit(s.X, s.LABELS)]  # fmt: skip


def composite_histograms():
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kinds = np.c_[s.X, np.arange(s.ROWS) % 3]
    last = [False] * 4 + [True]
    found = HistGradientBoostingClassifier(max_iter=2, categorical_features=last)
    constrained = HistGradientBoostingRegressor(max_iter=2, interaction_cst=[{0}, {1, 2, 3}])
    return [found.fit(kinds, s.LABELS), constrained.fit(s.X, s.NUMBERS)]


def composite_histograms_by_type():
    from sklearn.ensemble import HistGradientBoostingRegressor

    named = HistGradientBoostingRegressor(max_iter=2, categorical_features="from_dtype")
    return [named.fit(s.frame()[["size", "kind"]], s.NUMBERS)]


def composite_embedded():
    from sklearn.manifold import TSNE

    return [TSNE(perplexity=5).fit(s.X)]


def composite_encoders():
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

    found = [OneHotEncoder(handle_unknown="ignore"), OrdinalEncoder(dtype=np.int32),
             OneHotEncoder(categories=[["blue", "green", "red"]])]  # fmt: skip
    return [encoder.fit(s.COLOURS) for encoder in found]


def composite_rare_categories():
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

    missing = s.COLOURS.copy()
    missing[0, 0] = np.nan
    rare = OneHotEncoder(min_frequency=2, handle_unknown="infrequent_if_exist")
    last = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    return [rare.fit(missing), last.fit(missing), OneHotEncoder(max_categories=2).fit(s.COLOURS)]


def composite_encoded_targets():
    from sklearn.preprocessing import TargetEncoder

    targets = (s.BINARY, s.NUMBERS)
    return [TargetEncoder(cv=2).fit(s.COLOURS, target) for target in targets]


def composite_texts():
    from sklearn.feature_extraction.text import (
        CountVectorizer,
        HashingVectorizer,
        TfidfTransformer,
        TfidfVectorizer,
    )  # fmt: skip
    from sklearn.pipeline import make_pipeline

    found = [TfidfVectorizer(stop_words="english"), CountVectorizer(ngram_range=(1, 2)),
             TfidfVectorizer(use_idf=False, dtype=np.float32), TfidfVectorizer(analyzer=str.split),
             CountVectorizer(analyzer="char_wb", tokenizer=str.split, preprocessor=str.lower),
             make_pipeline(CountVectorizer(), TfidfTransformer()), HashingVectorizer(n_features=16),
             CountVectorizer(stop_words=["red"])]  # fmt: skip
    return [model.fit(s.WORDS) for model in found]


def composite_dicts():
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline

    return [make_pipeline(DictVectorizer(sparse=flag), LinearRegression()).fit(s.DICTS, s.BINARY)
            for flag in (True, False)]  # fmt: skip


def composite_neighbours():
    """Every distance, by a tree; 32-bit rows make other classes in some releases."""
    from sklearn.neighbors import BallTree, KDTree, KNeighborsClassifier

    found = []
    for kind, tree in (("ball_tree", BallTree), ("kd_tree", KDTree), ("brute", KDTree)):
        valid = tree.valid_metrics() if callable(tree.valid_metrics) else tree.valid_metrics
        for metric in valid:
            found += _neighbours(KNeighborsClassifier, kind, metric)
    return found


def _neighbours(cls, kind, metric):
    options = {
        "minkowski": {"w": np.ones(4)},
        "seuclidean": {"V": np.ones(4)},
        "wminkowski": {"w": np.ones(4), "p": 3},
        "mahalanobis": {"V": np.eye(4)},
    }
    found = []
    for parameters in (None, options.get(metric)):
        for data in (s.X, s.X[:, :2], s.X.astype("f4")):
            try:
                model = cls(2, algorithm=kind, metric=metric, metric_params=parameters)
                found.append(model.fit(data, s.BINARY))
            except Exception:
                continue
    return found


def composite_trees_of_neighbours():
    from scipy.sparse import csr_matrix
    from sklearn.neighbors import (
        BallTree,
        KDTree,
        KernelDensity,
        LocalOutlierFactor,
        NearestNeighbors,
    )

    sparse = csr_matrix(s.X)
    found = [NearestNeighbors(n_neighbors=2).fit(sparse), KernelDensity().fit(s.X),
             LocalOutlierFactor(novelty=True, n_neighbors=3).fit(s.X)]  # fmt: skip
    return [*found, BallTree(s.X), KDTree(s.X)]


def composite_callables():
    """Estimators whose parameters are functions."""
    from sklearn.metrics.pairwise import cosine_similarity, rbf_kernel
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC

    found = [SVC(kernel=kernel, gamma="auto") for kernel in (rbf_kernel, cosine_similarity)]
    distances = KNeighborsClassifier(2, metric=_scipy_distance(), algorithm="brute")
    return [model.fit(s.X, s.BINARY) for model in [*found, distances]]


def _scipy_distance():
    from scipy.spatial.distance import canberra

    return canberra


def composite_gaussian_processes():
    from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    kernel = ConstantKernel() * RBF() + WhiteKernel()
    return [GaussianProcessRegressor(kernel).fit(s.X, s.NUMBERS),
            GaussianProcessClassifier(kernel).fit(s.X, s.BINARY),
            GaussianProcessClassifier(kernel).fit(s.X, s.LABELS)]  # fmt: skip


def composite_selected():
    from sklearn.feature_selection import RFECV, SelectFromModel, SelectKBest, chi2, f_classif

    found = [SelectKBest(score, k=2) for score in (chi2, f_classif)]
    found += [SelectFromModel(_logistic()), RFECV(_logistic(), cv=2)]
    return [model.fit(s.X, s.BINARY) for model in found]


def composite_randomness():
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import SGDClassifier

    state = np.random.RandomState(0)
    found = [
        RandomForestClassifier(2, random_state=state),
        SGDClassifier(random_state=state, tol=0.1),
    ]
    return [model.fit(s.X, s.LABELS) for model in found]


def composite_networks():
    from sklearn.neural_network import MLPClassifier

    kinds = [(how, stop) for how in ("adam", "sgd", "lbfgs") for stop in (False, True)]
    found = [MLPClassifier((3,), solver=how, early_stopping=stop, max_iter=5)
             for how, stop in kinds]  # fmt: skip
    return [model.fit(s.X, s.LABELS) for model in found]


def composite_imputed():
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer, SimpleImputer

    found = [SimpleImputer(), SimpleImputer(strategy="constant", fill_value=0), IterativeImputer()]
    return [model.fit(s.HOLES) for model in found]


def composite_steps_left_out():
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    return [Pipeline([("a", None), ("scale", StandardScaler()), ("c", None)]).fit(s.X)]


def composite_next_to_the_model():
    """Return containers that people save: a dict with the column names, a pair, a list."""
    import pandas as pd

    model = _logistic().fit(s.X, s.BINARY)
    with_columns = {
        "model": model,
        "features": list("abcd"),
        "made": pd.Timestamp("2020-01-01"),
        "sample": pd.DataFrame(s.X[:2], columns=list("abcd")),
        "classes": {0: "a"},
    }
    return [with_columns, (model, model), {"a": model}]
