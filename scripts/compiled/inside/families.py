"""Estimators of every family in several settings, and the data that they are fitted on.

A release leaves out the classes and parameters that it does not have.
"""

import importlib
import warnings

import numpy as np
import pandas as pd

COUNT, WIDTH = 200, 5
MODULES = """
calibration cluster compose covariance cross_decomposition decomposition discriminant_analysis dummy
ensemble feature_extraction feature_extraction.text feature_selection frozen impute
kernel_approximation kernel_ridge linear_model mixture model_selection multiclass multioutput
naive_bayes neighbors neural_network pipeline preprocessing random_projection semi_supervised svm
tree
"""
EXPERIMENTAL = (
    "enable_hist_gradient_boosting",
    "enable_halving_search_cv",
    "enable_iterative_imputer",
)


class Classes:
    """The classes of this release by name, with the parameters that it knows."""

    def __init__(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name in EXPERIMENTAL:
                try:
                    importlib.import_module("sklearn.experimental." + name)
                except ImportError:
                    continue
        self._modules = []
        for name in MODULES.split():
            try:
                self._modules.append(importlib.import_module("sklearn." + name))
            except ImportError:
                continue

    def make(self, name, *arguments, **settings):
        """Return an estimator, None if this release lacks its class or a parameter."""
        kind = next((getattr(each, name) for each in self._modules if hasattr(each, name)), None)
        known = [] if kind is None else kind._get_param_names()
        if kind is None or not set(settings) <= set(known):
            return None
        return kind(*arguments, **settings)


class Group:
    """Rows and targets of a training, and rows to predict."""

    def __init__(self, layout, rows, target, tested, single=()):
        self.layout, self.rows, self.target = layout, rows, target
        self.tested, self.single = tested, single


LIMITS = [0.0, -0.0, 5e-324, 1e-12, 1e12, -1e12, 3.4e38, -3.5e38, np.nan, np.inf, -np.inf]


def groups():
    """Return the data by name."""
    generator = np.random.RandomState(0)
    rows = generator.normal(size=(COUNT, WIDTH))
    signal = rows[:, 0] * 2 - rows[:, 1] + 0.3 * rows[:, 2] ** 2
    noisy = signal + 0.3 * generator.normal(size=COUNT)
    two, three = (noisy > 0).astype(int), np.digitize(noisy, [-1, 1])
    named = np.array(["low", "middle", "top"])[three]
    tested = np.concatenate([generator.normal(size=(1500, WIDTH)), rows, rows[:100] * 10])
    single = []
    for number, limit in enumerate(LIMITS):
        row = rows[number].copy()
        row[number % WIDTH] = limit
        single.append(row)
    positive, steps = np.abs(rows), np.round(rows, 1)
    stepped = np.concatenate([np.round(tested[:1500], 1), steps])
    gaps = rows.copy()
    gaps[generator.uniform(size=gaps.shape) < 0.15] = np.nan
    holes = tested.copy()
    holes[generator.uniform(size=holes.shape) < 0.15] = np.nan
    holes = np.concatenate([holes[:800], gaps])
    counts = generator.randint(0, 4, rows.shape).astype(float)
    many = generator.randint(0, 4, (1500, WIDTH)).astype(float)
    targets = np.stack([noisy, -noisy + rows[:, 4]], axis=1)
    flags = np.stack([two, (rows[:, 3] > 0).astype(int), (rows[:, 4] > 0).astype(int)], axis=1)
    return {
        "number": Group("array", rows, noisy, tested, single),
        "two": Group("array", rows, two, tested, single),
        "three": Group("array", rows, named, tested, single),
        "positive": Group("array", positive, np.abs(noisy) + 0.1, np.abs(tested), single[:6]),
        "counts": Group("array", counts, three, many, single[:4]),
        "steps": Group("array", steps, named, stepped),
        "whole": Group("array", np.round(rows * 2), three, np.round(tested * 2)),
        "stepped number": Group("array", steps, noisy, stepped),
        "gaps": Group("array", gaps, noisy, holes, single),
        "gaps two": Group("array", gaps, two, holes, single),
        "targets": Group("array", rows, targets, tested, single),
        "flags": Group("array", rows, flags, tested, single),
        "texts": Group("text", texts(generator, COUNT), three, texts(generator, 1000)),
        "dicts": Group("text", dicts(generator, COUNT), three, dicts(generator, 1000)),
        "frame": frame_group(generator),
    }


WORDS = ["the", "a", "cat", "DOG", "and", "zoo", "x", "caf\u00e9", "not", "runs", "of", "12", "a-b"]


def texts(generator, count):
    return [" ".join(generator.choice(WORDS, generator.randint(0, 12))) for _ in range(count)]


def dicts(generator, count):
    return [
        {"n": float(generator.normal()), "c": str(generator.choice(list("xyz"))), "i": 2.0}
        for _ in range(count)
    ]


def frame_group(generator):
    def frame(count, colors):
        return pd.DataFrame(
            {
                "color": np.array(generator.choice(colors, count), object),
                "size": generator.normal(size=count),
                "shape": np.array(generator.choice(["round", "flat"], count), object),
                "age": generator.uniform(0, 90, size=count),
            },
            columns=["color", "size", "shape", "age"],
        )

    rows = frame(COUNT, ["red", "green", "blue"])
    rows.loc[:3, "color"] = "rare"
    target = np.digitize(rows["size"] + (rows["color"] == "red"), [0, 1])
    return Group("frame", rows, target, frame(1500, ["red", "green", "blue", "rare"]))


def cases(classes):
    """Yield (class, group, estimator) for all settings that this release has."""
    for name, group, settings in numbers():
        model = classes.make(name, **settings)
        if model is not None:
            yield name, group, model
    for name, group, make in combined(classes):
        model = make()
        if model is not None:
            yield name, group, model


def numbers():
    """Yield (class, group, settings) of classes that contain no other estimator."""
    for group, table in TABLES.items():
        for name, settings in table:
            for each in settings:
                yield name, group, each


D = dict
REGRESSORS = [
    ("LinearRegression", [{}, D(fit_intercept=False)]),
    ("Ridge", [{}, D(alpha=3.0)]),
    ("RidgeCV", [{}]),
    ("Lasso", [D(alpha=0.01)]),
    ("LassoCV", [{}]),
    ("ElasticNet", [D(alpha=0.01)]),
    ("ElasticNetCV", [{}]),
    ("Lars", [{}]),
    ("LarsCV", [{}]),
    ("LassoLars", [D(alpha=0.01)]),
    ("LassoLarsCV", [{}]),
    ("LassoLarsIC", [{}]),
    ("OrthogonalMatchingPursuit", [{}]),
    ("OrthogonalMatchingPursuitCV", [{}]),
    ("BayesianRidge", [{}]),
    ("ARDRegression", [{}]),
    ("HuberRegressor", [{}]),
    ("TheilSenRegressor", [D(random_state=0)]),
    ("RANSACRegressor", [D(random_state=0)]),
    ("QuantileRegressor", [D(solver="highs")]),
    ("SGDRegressor", [D(random_state=0)]),
    ("PassiveAggressiveRegressor", [D(random_state=0)]),
    ("LinearSVR", [D(random_state=0)]),
    ("SVR", [D(kernel=k, gamma=0.2) for k in ("rbf", "linear", "poly", "sigmoid")]),
    ("NuSVR", [D(gamma=0.2)]),
    ("KernelRidge", [{}, D(kernel="rbf"), D(kernel="poly"), D(kernel="laplacian")]),
    ("PLSRegression", [{}, D(n_components=1)]),
    ("PLSCanonical", []),
    ("DecisionTreeRegressor", [{}, D(max_depth=4)]),
    ("ExtraTreeRegressor", [D(random_state=0)]),
    ("RandomForestRegressor", [D(n_estimators=20, random_state=0)]),
    ("ExtraTreesRegressor", [D(n_estimators=20, random_state=0)]),
    (
        "GradientBoostingRegressor",
        [D(n_estimators=20), D(n_estimators=20, loss="huber"), D(n_estimators=9, loss="quantile")],
    ),
    ("HistGradientBoostingRegressor", [D(max_iter=20)]),
    ("AdaBoostRegressor", [D(n_estimators=10, random_state=0)]),
    ("KNeighborsRegressor", [{}, D(weights="distance"), D(algorithm="brute"), D(p=3), D(p=1)]),
    ("RadiusNeighborsRegressor", [D(radius=3.0), D(radius=3.0, weights="distance")]),
    ("MLPRegressor", [D(hidden_layer_sizes=(8,), max_iter=50, random_state=0)]),
    ("DummyRegressor", [{}, D(strategy="median")]),
]
DISTANCES = [
    *(D(metric=name) for name in ("manhattan", "chebyshev", "euclidean")),
    D(metric="cosine", algorithm="brute"),
]
SEARCHES = [
    *(D(algorithm=name) for name in ("kd_tree", "ball_tree", "brute")),
    *(D(algorithm=name, weights="distance", n_neighbors=7) for name in ("kd_tree", "brute")),
]
CLASSIFIERS = [
    ("LogisticRegression", [{}, D(C=0.3), D(solver="liblinear")]),
    ("LogisticRegressionCV", [{}]),
    ("RidgeClassifier", [{}]),
    ("RidgeClassifierCV", [{}]),
    ("SGDClassifier", [D(random_state=0), D(loss="modified_huber", random_state=0)]),
    ("Perceptron", [D(random_state=0)]),
    ("PassiveAggressiveClassifier", [D(random_state=0)]),
    ("LinearSVC", [D(random_state=0)]),
    (
        "SVC",
        [
            D(gamma=0.2, probability=True, random_state=0),
            *(D(kernel=k, gamma=0.2) for k in ("linear", "poly", "sigmoid")),
            D(gamma=0.2, decision_function_shape="ovo"),
        ],
    ),
    ("NuSVC", [D(nu=0.1, gamma=0.2)]),
    ("LinearDiscriminantAnalysis", [{}, D(solver="lsqr"), D(solver="eigen")]),
    ("QuadraticDiscriminantAnalysis", [{}, D(reg_param=0.1)]),
    ("GaussianNB", [{}]),
    ("BernoulliNB", [D(binarize=0.3)]),
    ("MLPClassifier", [D(hidden_layer_sizes=(8,), max_iter=50, random_state=0)]),
    ("DecisionTreeClassifier", [{}, D(max_depth=4, criterion="entropy")]),
    ("ExtraTreeClassifier", [D(random_state=0)]),
    ("RandomForestClassifier", [D(n_estimators=20, random_state=0)]),
    ("ExtraTreesClassifier", [D(n_estimators=20, random_state=0)]),
    ("GradientBoostingClassifier", [D(n_estimators=20), D(n_estimators=9, subsample=0.5)]),
    ("HistGradientBoostingClassifier", [D(max_iter=20)]),
    ("AdaBoostClassifier", [D(n_estimators=10, random_state=0)]),
    ("KNeighborsClassifier", [{}, *SEARCHES, *DISTANCES]),
    (
        "RadiusNeighborsClassifier",
        [D(radius=60.0), D(radius=60.0, weights="distance", algorithm="brute")],
    ),
    ("NearestCentroid", [{}, D(metric="manhattan"), D(shrink_threshold=0.2)]),
    ("DummyClassifier", [D(strategy="prior"), D(strategy="most_frequent")]),
]
TIES = [
    ("KNeighborsClassifier", [{}, *SEARCHES, *DISTANCES, D(n_neighbors=2), D(n_neighbors=30)]),
    ("RadiusNeighborsClassifier", [D(radius=60.0), D(radius=60.0, algorithm="brute")]),
]
TRANSFORMERS = [
    ("StandardScaler", [{}, D(with_mean=False)]),
    ("MinMaxScaler", [{}, D(clip=True)]),
    ("MaxAbsScaler", [{}]),
    ("RobustScaler", [{}]),
    ("Normalizer", [{}, D(norm="l1"), D(norm="max")]),
    ("Binarizer", [D(threshold=0.2)]),
    ("PowerTransformer", [{}, D(standardize=False)]),
    (
        "QuantileTransformer",
        [D(n_quantiles=50), D(n_quantiles=50, output_distribution="normal")],
    ),
    ("PolynomialFeatures", [{}, D(degree=3, interaction_only=True)]),
    (
        "SplineTransformer",
        [
            *({"extrapolation": kind} for kind in ("constant", "linear", "continue", "periodic")),
            D(degree=2, knots="quantile", include_bias=False),
            D(degree=1, extrapolation="linear"),
        ],
    ),
    ("KBinsDiscretizer", [D(n_bins=4), D(n_bins=4, encode="ordinal", strategy="uniform")]),
    ("SimpleImputer", [{}, D(strategy="median", add_indicator=True)]),
    ("PCA", [D(n_components=3), D(n_components=3, whiten=True)]),
    ("IncrementalPCA", [D(n_components=3)]),
    ("TruncatedSVD", [D(random_state=0)]),
    ("FactorAnalysis", [D(n_components=2)]),
    ("FastICA", [D(n_components=3, random_state=0)]),
    ("Nystroem", [D(n_components=20, random_state=0)]),
    ("RBFSampler", [D(n_components=20, random_state=0)]),
    ("BernoulliRBM", [D(n_components=4, n_iter=3, random_state=0)]),
    ("GaussianRandomProjection", [D(n_components=3, random_state=0)]),
    ("SparseRandomProjection", [D(n_components=3, random_state=0, density=0.5)]),
    ("KMeans", [D(n_clusters=4, random_state=0, n_init=3)]),
    ("MiniBatchKMeans", [D(n_clusters=4, random_state=0, n_init=3)]),
    ("BisectingKMeans", [D(n_clusters=4, random_state=0)]),
    ("MeanShift", [{}]),
    ("AffinityPropagation", [{}]),
    ("Birch", [D(n_clusters=3, threshold=0.9)]),
    (
        "GaussianMixture",
        [
            D(n_components=3, covariance_type=kind, random_state=0)
            for kind in ("full", "tied", "diag", "spherical")
        ],
    ),
    (
        "BayesianGaussianMixture",
        [
            *(
                D(n_components=3, covariance_type=kind, random_state=0, max_iter=300)
                for kind in ("full", "tied", "diag", "spherical")
            ),
            D(
                n_components=3,
                weight_concentration_prior_type="dirichlet_distribution",
                random_state=0,
                max_iter=300,
            ),
        ],
    ),
    ("IsolationForest", [D(n_estimators=20, random_state=0)]),
    ("OneClassSVM", [D(gamma=0.2), D(kernel="poly", gamma=0.2)]),
    ("LocalOutlierFactor", [D(novelty=True), D(novelty=True, algorithm="brute", p=1)]),
    ("EllipticEnvelope", [D(random_state=0)]),
    ("SGDOneClassSVM", [D(random_state=0)]),
]
SUPERVISED = [
    ("SelectKBest", [D(k=2)]),
    ("SelectPercentile", [D(percentile=40)]),
    ("SelectFpr", [D(alpha=0.3)]),
    ("SelectFdr", [D(alpha=0.3)]),
    ("SelectFwe", [D(alpha=0.3)]),
    ("GenericUnivariateSelect", [D(mode="k_best", param=2)]),
    ("VarianceThreshold", [D(threshold=0.9)]),
    ("NeighborhoodComponentsAnalysis", [D(n_components=2, random_state=0, max_iter=20)]),
    ("TargetEncoder", []),
]
TABLES = {
    "number": [*REGRESSORS, *TRANSFORMERS],
    "two": [*CLASSIFIERS, *SUPERVISED],
    "three": CLASSIFIERS,
    "steps": TIES,
    "whole": TIES,
    "stepped number": [
        ("KNeighborsRegressor", [{}, D(weights="distance"), *SEARCHES]),
        ("RadiusNeighborsRegressor", [D(radius=2.0)]),
        ("LocalOutlierFactor", [D(novelty=True)]),
    ],
    "positive": [
        ("PoissonRegressor", [{}]),
        ("GammaRegressor", [{}]),
        ("TweedieRegressor", [D(power=1.5)]),
        ("PowerTransformer", [D(method="box-cox")]),
        ("HistGradientBoostingRegressor", [D(max_iter=9, loss="poisson")]),
    ],
    "counts": [
        *((name, [{}]) for name in ("MultinomialNB", "ComplementNB", "CategoricalNB")),
        ("OrdinalEncoder", [{}]),
        ("OneHotEncoder", [D(categories="auto")]),
    ],
    "gaps": [
        ("IterativeImputer", [D(random_state=0), D(add_indicator=True, initial_strategy="median")]),
        ("KNNImputer", [{}, D(n_neighbors=3, weights="distance")]),
        ("SimpleImputer", [{}, D(strategy="most_frequent", add_indicator=True)]),
        ("MissingIndicator", [{}]),
        ("HistGradientBoostingRegressor", [D(max_iter=20)]),
        ("DecisionTreeRegressor", [D(max_depth=5)]),
        ("RandomForestRegressor", [D(n_estimators=9, random_state=0)]),
    ],
    "gaps two": [("HistGradientBoostingClassifier", [D(max_iter=20)])],
    "targets": [
        ("LinearRegression", [{}]),
        ("Ridge", [{}]),
        *((name, [D(alpha=0.01)]) for name in ("MultiTaskLasso", "MultiTaskElasticNet")),
        *((name, [{}]) for name in ("MultiTaskLassoCV", "MultiTaskElasticNetCV")),
        ("DecisionTreeRegressor", [D(max_depth=4)]),
        ("RandomForestRegressor", [D(n_estimators=9, random_state=0)]),
        ("KNeighborsRegressor", [{}]),
        ("PLSRegression", [{}]),
        ("PLSCanonical", [{}]),
        ("CCA", [D(n_components=1)]),
    ],
    "texts": [
        (
            "CountVectorizer",
            [{}, D(ngram_range=(1, 2), stop_words="english"), D(analyzer="char_wb", binary=True)],
        ),
        (
            "TfidfVectorizer",
            [{}, D(ngram_range=(1, 2), sublinear_tf=True), D(stop_words="english")],
        ),
        ("HashingVectorizer", [D(n_features=50)]),
    ],
    "dicts": [("DictVectorizer", [{}, D(sparse=False)])],
}


class Makers:
    """Functions that make estimators of a release, and estimators that contain others."""

    def __init__(self, classes):
        self.make = make = classes.make
        self.ridge = make("Ridge")
        self.forest = make("RandomForestClassifier", n_estimators=9, random_state=0)

    def tree(self):
        return self.make("DecisionTreeClassifier", max_depth=3)

    def logistic(self):
        return self.make("LogisticRegression", solver="lbfgs")

    def meta(self, name, inner, *rest, **settings):
        return lambda: None if inner is None else self.make(name, inner, *rest, **settings)

    def pipeline(self, *steps):
        named = [(chr(ord("a") + number), step) for number, step in enumerate(steps)]
        return lambda: self.make("Pipeline", named)


def combined(classes):
    """Yield (class, group, function that makes the estimator) of classes that contain others."""
    makers = Makers(classes)
    for part in (classifiers, selectors, regressors, frames, vectorizers):
        yield from part(makers)


def classifiers(makers):
    make, meta, tree, logistic = makers.make, makers.meta, makers.tree, makers.logistic
    pair = [("a", logistic()), ("b", make("GaussianNB"))]
    forest = makers.forest
    for group in ("two", "three"):
        yield "Pipeline", group, makers.pipeline(make("StandardScaler"), logistic())
        yield "VotingClassifier", group, meta("VotingClassifier", pair, voting="soft")
        yield "VotingClassifier", group, meta("VotingClassifier", [*pair, ("c", tree())])
        yield "StackingClassifier", group, meta("StackingClassifier", pair)
        yield "BaggingClassifier", group, meta("BaggingClassifier", tree(), random_state=0)
        yield "CalibratedClassifierCV", group, meta("CalibratedClassifierCV", make("GaussianNB"))
        yield (
            "CalibratedClassifierCV",
            group,
            meta("CalibratedClassifierCV", forest, method="isotonic", cv=3),
        )
        yield "OneVsRestClassifier", group, meta("OneVsRestClassifier", logistic())
        yield "OneVsOneClassifier", group, meta("OneVsOneClassifier", logistic())
        yield "OneVsOneClassifier", group, meta("OneVsOneClassifier", tree())
        yield (
            "OutputCodeClassifier",
            group,
            meta("OutputCodeClassifier", logistic(), random_state=0),
        )
        yield "GridSearchCV", group, meta("GridSearchCV", logistic(), {"C": [0.1, 1]}, cv=3)
        yield (
            "RandomizedSearchCV",
            group,
            meta("RandomizedSearchCV", logistic(), {"C": [0.1, 1]}, n_iter=2, cv=3),
        )
        yield "HalvingGridSearchCV", group, meta("HalvingGridSearchCV", logistic(), {"C": [0.1, 1]})
        yield "AdaBoostClassifier", group, meta("AdaBoostClassifier", tree(), n_estimators=9)
        yield "SelfTrainingClassifier", group, meta("SelfTrainingClassifier", logistic())
    yield (
        "FixedThresholdClassifier",
        "two",
        meta("FixedThresholdClassifier", logistic(), threshold=0.3),
    )
    yield "TunedThresholdClassifierCV", "two", meta("TunedThresholdClassifierCV", logistic(), cv=3)


def selectors(makers):
    make, meta, logistic, forest = makers.make, makers.meta, makers.logistic, makers.forest
    for group in ("two", "three"):
        yield "SelectFromModel", group, meta("SelectFromModel", logistic())
        yield "SelectFromModel", group, meta("SelectFromModel", forest)
        yield (
            "SelectFromModel",
            group,
            meta("SelectFromModel", make("ExtraTreesClassifier", n_estimators=9, random_state=0)),
        )
        yield (
            "SelectFromModel",
            group,
            meta(
                "SelectFromModel",
                make("GradientBoostingClassifier", n_estimators=9),
                threshold="median",
            ),
        )
        yield "RFE", group, meta("RFE", logistic(), n_features_to_select=2)
        yield "RFECV", group, meta("RFECV", logistic(), cv=3)
        yield (
            "SequentialFeatureSelector",
            group,
            meta("SequentialFeatureSelector", logistic(), n_features_to_select=2, cv=2),
        )


def regressors(makers):
    make, meta, tree, logistic = makers.make, makers.meta, makers.tree, makers.logistic
    ridge = makers.ridge
    pair = [("a", ridge), ("b", make("DecisionTreeRegressor", max_depth=3))]
    yield "VotingRegressor", "number", meta("VotingRegressor", pair, weights=[1, 2])
    yield "StackingRegressor", "number", meta("StackingRegressor", pair)
    yield "BaggingRegressor", "number", meta("BaggingRegressor", ridge, random_state=0)
    yield (
        "RANSACRegressor",
        "number",
        meta("RANSACRegressor", make("LinearRegression"), random_state=0),
    )
    yield (
        "TransformedTargetRegressor",
        "number",
        lambda: make(
            "TransformedTargetRegressor", regressor=ridge, transformer=make("StandardScaler")
        ),
    )
    yield (
        "TransformedTargetRegressor",
        "positive",
        lambda: make(
            "TransformedTargetRegressor", regressor=ridge, func=np.log, inverse_func=np.exp
        ),
    )
    yield "MultiOutputRegressor", "targets", meta("MultiOutputRegressor", ridge)
    yield "MultiOutputClassifier", "flags", meta("MultiOutputClassifier", logistic())
    yield "RegressorChain", "targets", meta("RegressorChain", ridge, order=[1, 0])
    yield "ClassifierChain", "flags", meta("ClassifierChain", logistic(), order=[2, 0, 1])
    yield "ClassifierChain", "flags", meta("ClassifierChain", tree())
    yield (
        "FunctionTransformer",
        "positive",
        lambda: make("FunctionTransformer", np.log1p, validate=True),
    )
    union = [("a", make("PCA", n_components=2)), ("b", make("MinMaxScaler"))]
    yield "FeatureUnion", "number", meta("FeatureUnion", union)


def vectorizers(makers):
    make, pipeline = makers.make, makers.pipeline
    for name in ("TfidfVectorizer", "CountVectorizer"):
        yield name, "texts", pipeline(make(name), makers.logistic())
    yield "TfidfTransformer", "texts", pipeline(make("CountVectorizer"), make("TfidfTransformer"))
    yield "DictVectorizer", "dicts", pipeline(make("DictVectorizer"), makers.logistic())


def frames(makers):
    """Yield the cases of columns with categories."""
    make, pipeline = makers.make, makers.pipeline
    texts_, numbers_ = ["color", "shape"], ["size", "age"]
    encoders = [
        ("OneHotEncoder", make("OneHotEncoder", handle_unknown="ignore")),
        ("OneHotEncoder", make("OneHotEncoder", drop="first")),
        (
            "OneHotEncoder",
            make("OneHotEncoder", min_frequency=9, handle_unknown="infrequent_if_exist"),
        ),
        ("OrdinalEncoder", make("OrdinalEncoder")),
        (
            "OrdinalEncoder",
            make("OrdinalEncoder", handle_unknown="use_encoded_value", unknown_value=-1),
        ),
        ("TargetEncoder", make("TargetEncoder", random_state=0)),
    ]
    for name, encoder in encoders:
        if encoder is None:
            continue
        columns = [("c", encoder, texts_), ("n", make("StandardScaler"), numbers_)]
        yield name, "frame", pipeline(make("ColumnTransformer", columns), makers.logistic())
    columns = [("c", make("OneHotEncoder"), texts_), ("n", "passthrough", numbers_)]
    last = makers.forest
    yield "ColumnTransformer", "frame", pipeline(make("ColumnTransformer", columns), last)
