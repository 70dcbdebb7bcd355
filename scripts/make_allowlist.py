"""Write modelpack/inspection/allowlist.json and estimators.json.

    python scripts/make_allowlist.py OBSERVED.json

OBSERVED.json maps each "module:name" found in real, trusted pickles to [files, roles]; roles are
NEWOBJ (a class that is made), REDUCE (called) and REF (a mere value). What is known of releases
that were not observed is added from the tables below, and functions that people hand to estimators
from the libraries that are installed. estimators.json is read off the scikit-learn that is
installed: [task, the methods that give predictions].
"""

from __future__ import annotations

import json
import pickle
import sys
import warnings
from pathlib import Path
from types import FunctionType

DATA = Path(__file__).parents[1] / "modelpack" / "inspection"
ROLES = {"NEWOBJ": "new", "REDUCE": "call", "REF": "ref"}

# Modules of scikit-learn before 0.22, under the names that they have since.
FORMER = {
    "sklearn.cluster._affinity_propagation": "sklearn.cluster.affinity_propagation_",
    "sklearn.cluster._agglomerative": "sklearn.cluster.hierarchical",
    "sklearn.cluster._bicluster": "sklearn.cluster.bicluster",
    "sklearn.cluster._birch": "sklearn.cluster.birch",
    "sklearn.cluster._dbscan": "sklearn.cluster.dbscan_",
    "sklearn.cluster._kmeans": "sklearn.cluster.k_means_",
    "sklearn.cluster._mean_shift": "sklearn.cluster.mean_shift_",
    "sklearn.cluster._spectral": "sklearn.cluster.spectral",
    "sklearn.covariance._elliptic_envelope": "sklearn.covariance.elliptic_envelope",
    "sklearn.covariance._empirical_covariance": "sklearn.covariance.empirical_covariance_",
    "sklearn.covariance._graph_lasso": "sklearn.covariance.graph_lasso_",
    "sklearn.covariance._robust_covariance": "sklearn.covariance.robust_covariance",
    "sklearn.covariance._shrunk_covariance": "sklearn.covariance.shrunk_covariance_",
    "sklearn.cross_decomposition._pls": "sklearn.cross_decomposition.pls_",
    "sklearn.decomposition._dict_learning": "sklearn.decomposition.dict_learning",
    "sklearn.decomposition._factor_analysis": "sklearn.decomposition.factor_analysis",
    "sklearn.decomposition._fastica": "sklearn.decomposition.fastica_",
    "sklearn.decomposition._incremental_pca": "sklearn.decomposition.incremental_pca",
    "sklearn.decomposition._kernel_pca": "sklearn.decomposition.kernel_pca",
    "sklearn.decomposition._lda": "sklearn.decomposition.online_lda",
    "sklearn.decomposition._nmf": "sklearn.decomposition.nmf",
    "sklearn.decomposition._pca": "sklearn.decomposition.pca",
    "sklearn.decomposition._sparse_pca": "sklearn.decomposition.sparse_pca",
    "sklearn.decomposition._truncated_svd": "sklearn.decomposition.truncated_svd",
    "sklearn.ensemble._bagging": "sklearn.ensemble.bagging",
    "sklearn.ensemble._forest": "sklearn.ensemble.forest",
    "sklearn.ensemble._gb": "sklearn.ensemble.gradient_boosting",
    "sklearn.ensemble._gb_losses": "sklearn.ensemble.gradient_boosting",
    "sklearn.ensemble._iforest": "sklearn.ensemble.iforest",
    "sklearn.ensemble._voting": "sklearn.ensemble.voting_classifier",
    "sklearn.ensemble._weight_boosting": "sklearn.ensemble.weight_boosting",
    "sklearn.feature_extraction._dict_vectorizer": "sklearn.feature_extraction.dict_vectorizer",
    "sklearn.feature_extraction._hash": "sklearn.feature_extraction.hashing",
    "sklearn.feature_selection._from_model": "sklearn.feature_selection.from_model",
    "sklearn.feature_selection._rfe": "sklearn.feature_selection.rfe",
    "sklearn.feature_selection._univariate_selection": (
        "sklearn.feature_selection.univariate_selection"
    ),
    "sklearn.feature_selection._variance_threshold": "sklearn.feature_selection.variance_threshold",
    "sklearn.gaussian_process._gpc": "sklearn.gaussian_process.gpc",
    "sklearn.gaussian_process._gpr": "sklearn.gaussian_process.gpr",
    "sklearn.impute._base": "sklearn.impute",
    "sklearn.linear_model._base": "sklearn.linear_model.base",
    "sklearn.linear_model._bayes": "sklearn.linear_model.bayes",
    "sklearn.linear_model._coordinate_descent": "sklearn.linear_model.coordinate_descent",
    "sklearn.linear_model._huber": "sklearn.linear_model.huber",
    "sklearn.linear_model._least_angle": "sklearn.linear_model.least_angle",
    "sklearn.linear_model._logistic": "sklearn.linear_model.logistic",
    "sklearn.linear_model._omp": "sklearn.linear_model.omp",
    "sklearn.linear_model._passive_aggressive": "sklearn.linear_model.passive_aggressive",
    "sklearn.linear_model._perceptron": "sklearn.linear_model.perceptron",
    "sklearn.linear_model._ransac": "sklearn.linear_model.ransac",
    "sklearn.linear_model._ridge": "sklearn.linear_model.ridge",
    "sklearn.linear_model._sgd_fast": "sklearn.linear_model.sgd_fast",
    "sklearn.linear_model._stochastic_gradient": "sklearn.linear_model.stochastic_gradient",
    "sklearn.linear_model._theil_sen": "sklearn.linear_model.theil_sen",
    "sklearn.manifold._isomap": "sklearn.manifold.isomap",
    "sklearn.manifold._locally_linear": "sklearn.manifold.locally_linear",
    "sklearn.manifold._mds": "sklearn.manifold.mds",
    "sklearn.manifold._spectral_embedding": "sklearn.manifold.spectral_embedding_",
    "sklearn.manifold._t_sne": "sklearn.manifold.t_sne",
    "sklearn.metrics._dist_metrics": "sklearn.neighbors.dist_metrics",
    "sklearn.metrics._scorer": "sklearn.metrics.scorer",
    "sklearn.mixture._bayesian_mixture": "sklearn.mixture.bayesian_mixture",
    "sklearn.mixture._gaussian_mixture": "sklearn.mixture.gaussian_mixture",
    "sklearn.neighbors._ball_tree": "sklearn.neighbors.ball_tree",
    "sklearn.neighbors._classification": "sklearn.neighbors.classification",
    "sklearn.neighbors._kd_tree": "sklearn.neighbors.kd_tree",
    "sklearn.neighbors._kde": "sklearn.neighbors.kde",
    "sklearn.neighbors._lof": "sklearn.neighbors.lof",
    "sklearn.neighbors._nearest_centroid": "sklearn.neighbors.nearest_centroid",
    "sklearn.neighbors._regression": "sklearn.neighbors.regression",
    "sklearn.neighbors._unsupervised": "sklearn.neighbors.unsupervised",
    "sklearn.neural_network._multilayer_perceptron": "sklearn.neural_network.multilayer_perceptron",
    "sklearn.neural_network._rbm": "sklearn.neural_network.rbm",
    "sklearn.preprocessing._data": "sklearn.preprocessing.data",
    "sklearn.preprocessing._label": "sklearn.preprocessing.label",
    "sklearn.semi_supervised._label_propagation": "sklearn.semi_supervised.label_propagation",
    "sklearn.svm._classes": "sklearn.svm.classes",
    "sklearn.tree._classes": "sklearn.tree.tree",
    "sklearn.utils._bunch": "sklearn.utils",
}

# Observed under one name, the same thing under another in other releases.
TWINS = {
    "joblib.numpy_pickle": ["sklearn.externals.joblib.numpy_pickle"],
    "numpy._core.multiarray": ["numpy.core.multiarray"],
    "numpy._core.numeric": ["numpy.core.numeric"],
    "numpy.random._mt19937": ["numpy.random.mt19937"],
    "scipy.sparse._csr": ["scipy.sparse.csr"],
    "scipy.special._special_ufuncs": ["scipy.special._ufuncs"],
    "builtins": ["__builtin__"],
    "__builtin__": ["builtins"],
    "copy_reg": ["copyreg"],
    "sklearn._loss._loss": ["_loss"],  # as the extension of 1.5 and 1.6 names itself
    "sklearn.metrics._dist_metrics": ["sklearn.neighbors._dist_metrics"],
    "sklearn.ensemble._voting": ["sklearn.ensemble.voting"],
    "sklearn.neighbors._kde": ["sklearn.neighbors.kde"],
}

NEW = {
    "scipy.sparse._csc": ["csc_matrix", "csc_array"],
    "scipy.sparse._csr": ["csr_array"],
    "scipy.sparse.csc": ["csc_matrix"],
    "scipy.stats._continuous_distns": ["loguniform_gen", "norm_gen", "expon_gen"],
    "scipy.stats._distn_infrastructure": ["rv_frozen"],
    "sklearn.ensemble._gb_losses": [
        "MultinomialDeviance",
        "ExponentialLoss",
        "LeastAbsoluteError",
        "HuberLossFunction",
        "QuantileLossFunction",
    ],
    "sklearn.ensemble.gradient_boosting": [
        "MultinomialDeviance",
        "ExponentialLoss",
        "LeastAbsoluteError",
        "HuberLossFunction",
        "QuantileLossFunction",
        "LogOddsEstimator",
        "ScaledLogOddsEstimator",
        "MeanEstimator",
        "PriorProbabilityEstimator",
        "QuantileEstimator",
        "ZeroEstimator",
    ],
    "sklearn.ensemble._hist_gradient_boosting.loss": [
        "LeastSquares",
        "LeastAbsoluteDeviation",
        "Poisson",
        "BinaryCrossEntropy",
        "CategoricalCrossEntropy",
    ],
    "sklearn._loss.loss": [
        "AbsoluteError",
        "PinballLoss",
        "HuberLoss",
        "HalfTweedieLoss",
        "HalfMultinomialLoss",
        "ExponentialLoss",
    ],
    "sklearn._loss.glm_distribution": [
        "DistributionBoundary",
        "GammaDistribution",
        "InverseGaussianDistribution",
        "NormalDistribution",
        "PoissonDistribution",
        "TweedieDistribution",
    ],
    "sklearn.cross_decomposition.cca_": ["CCA"],
    "sklearn.linear_model._glm.link": ["IdentityLink", "LogLink", "LogitLink"],
    "scipy.interpolate._bsplines": ["_BSpline"],
    "sklearn.preprocessing._data": ["PolynomialFeatures"],
    "sklearn.compose._column_transformer": ["_RemainderColsList"],
    "sklearn.linear_model.ridge": ["_BaseRidgeCV", "_RidgeGCV"],
    "sklearn._loss.link": ["MultinomialLogit", "HalfLogitLink"],
    "sklearn.gaussian_process.kernels": [
        "CompoundKernel",
        "DotProduct",
        "Exponentiation",
        "ExpSineSquared",
        "Matern",
        "PairwiseKernel",
        "RationalQuadratic",
    ],
    "sklearn.metrics._scorer": ["_PredictScorer", "_ProbaScorer", "_ThresholdScorer"],
    "sklearn.metrics.scorer": ["_PredictScorer", "_ProbaScorer", "_ThresholdScorer"],
    "sklearn.model_selection._split": [
        "GroupKFold",
        "GroupShuffleSplit",
        "LeaveOneGroupOut",
        "LeaveOneOut",
        "RepeatedKFold",
        "RepeatedStratifiedKFold",
        "ShuffleSplit",
        "StratifiedGroupKFold",
        "StratifiedShuffleSplit",
        "TimeSeriesSplit",
    ],
    "sklearn.neural_network._stochastic_optimizers": ["SGDOptimizer"],
    "sklearn.preprocessing.imputation": ["Imputer"],
    "sklearn.impute._iterative": ["IterativeImputer", "_ImputerTriplet"],
    "sklearn.calibration": ["_IsotonicCalibration"],
    "sklearn.utils.deprecation": ["DeprecationDict"],
}
CALL = {
    "_loss._loss": [
        name
        for loss in (
            "AbsoluteError", "PinballLoss", "HuberLoss", "HalfTweedieLoss", "HalfMultinomialLoss",
            "ExponentialLoss",
        )
        for name in (f"Cy{loss}", f"__pyx_unpickle_Cy{loss}")
    ],
    "linear_model._sgd_fast": [
        "Log", "ModifiedHuber", "SquaredHinge", "SquaredLoss", "Huber", "EpsilonInsensitive",
        "SquaredEpsilonInsensitive",
    ],
}  # fmt: skip
EXPERIMENTAL = {
    "HalvingGridSearchCV": ["unknown", "predict", "transform", "predict_proba"],
    "HalvingRandomSearchCV": ["unknown", "predict", "transform", "predict_proba"],
    "Imputer": ["transformer", "transform"],
    "IterativeImputer": ["transformer", "transform"],
}
NUMPY_TYPES = [
    "bool_", "float16", "float32", "float64", "int16", "int32", "int64", "int8", "longdouble",
    "object_", "str_", "uint16", "uint32", "uint64", "uint8",
]  # fmt: skip
NUMPY_FUNCTIONS = [  # of arrays, beside the ufuncs
    "amax", "amin", "around", "asarray", "clip", "max", "mean", "median", "min", "nan_to_num",
    "ravel", "round", "squeeze", "std", "sum", "var",
]  # fmt: skip
PLAIN_TYPES = [
    "bool", "bytes", "dict", "float", "int", "list", "object", "set", "str", "tuple",
]  # fmt: skip


def observed(path: str) -> dict[str, set[str]]:
    found = json.loads(Path(path).read_text("utf-8"))
    return {key: {ROLES[role] for role in roles} for key, (_, roles) in found.items()}


def known() -> dict[str, set[str]]:
    """What real files hold that were not among those observed."""
    table = {f"{m}:{name}": {"new"} for m, names in NEW.items() for name in names}
    table |= {f"sklearn.{m}:{name}": {"call", "ref"} for m, names in CALL.items() for name in names}
    table |= {f"numpy:{name}": {"ref"} for name in NUMPY_TYPES}
    table |= {f"builtins:{name}": {"ref"} for name in PLAIN_TYPES}
    table |= {f"builtins:{name}": {"call"} for name in ("bytes", "frozenset", "list", "complex")}
    table |= {f"numpy:{name}": {"ref"} for name in NUMPY_FUNCTIONS}
    table |= {
        "__builtin__:long": {"ref"},  # int, str and range, as protocols 0 to 2 name them
        "__builtin__:unicode": {"ref"},
        "__builtin__:xrange": {"call"},
        "builtins:range": {"call"},
        "builtins:set": {"call", "ref"},
        "builtins:bytes": {"call", "ref"},
        "builtins:list": {"call", "ref"},
        "copyreg:_reconstructor": {"call"},
        "builtins:FutureWarning": {"ref"},  # in the DeprecationDict of 0.20's GridSearchCV
        "exceptions:FutureWarning": {"ref"},
        "lightgbm.sklearn:LGBMRanker": {"new", "ref"},
        "numpy.ma.core:MaskedArray": {"ref"},
        "sklearn.metrics._scorer:_passthrough_scorer": {"ref"},
        "sklearn.metrics._scorer:negative_likelihood_ratio": {"ref"},
        "sklearn.metrics._scorer:positive_likelihood_ratio": {"ref"},
        "sklearn.metrics.scorer:_passthrough_scorer": {"ref"},
        "numpy.random:__RandomState_ctor": {"call"},
        "numpy.random._sfc64:SFC64": {"ref"},
        "numpy.random._philox:Philox": {"ref"},
        "pandas.core.frame:DataFrame": {"new", "ref"},
        "pandas.core.indexes.base:Index": {"ref"},
        "pandas.core.indexes.numeric:Float64Index": {"ref"},
        "pandas.core.indexes.numeric:Int64Index": {"ref"},
        "pandas.core.indexes.range:RangeIndex": {"ref"},
        "pandas.core.series:Series": {"new", "ref"},
        "re:_compile": {"call"},
        "xgboost.sklearn:XGBRFRegressor": {"new", "ref"},
    }
    return table


def installed() -> dict[str, set[str]]:
    """Functions of arrays and their like, which people hand to estimators."""
    import numpy as np  # noqa: PLC0415 - slow
    from scipy import special  # noqa: PLC0415 - slow
    from scipy.stats import _continuous_distns, _discrete_distns  # noqa: PLC0415 - slow
    from sklearn import feature_selection, metrics, model_selection  # noqa: PLC0415 - slow
    from sklearn.metrics import _dist_metrics, pairwise  # noqa: PLC0415 - slow

    functions = [value for value in vars(feature_selection).values() if is_function(value)]
    functions += [
        v for v in vars(metrics).values() if is_function(v) and "_scor" not in v.__module__
    ]
    functions += pairwise.PAIRWISE_KERNEL_FUNCTIONS.values()
    functions += filter(None, pairwise.PAIRWISE_DISTANCE_FUNCTIONS.values())
    ufuncs = [f for library in (np, special) for f in vars(library).values() if is_ufunc(f)]
    table = {f"{f.__module__}:{f.__name__}": {"ref"} for f in functions}
    table |= {f"{pickle.whichmodule(f, f.__name__)}:{f.__name__}": {"ref"} for f in ufuncs}
    for module in (_continuous_distns, _discrete_distns):
        names = [name for name in vars(module) if name.endswith("_gen")]
        table |= {f"{module.__name__}:{name}": {"new"} for name in names}
    splitters = [v for v in vars(model_selection).values() if isinstance(v, type)]
    splitters = [v for v in splitters if hasattr(v, "split") and not v.__name__.startswith("Base")]
    table |= {f"{v.__module__}:{v.__name__}": {"new"} for v in splitters}
    distances = [n for n in vars(_dist_metrics) if "Distance" in n and "PyFunc" not in n]
    return table | {
        f"{_dist_metrics.__name__}:{n}": {"ref"} for n in distances if not n.startswith("_")
    }


def is_function(value: object) -> bool:
    return isinstance(value, FunctionType) and value.__module__.startswith("sklearn.")


def is_ufunc(value: object) -> bool:
    return type(value).__name__ == "ufunc"


def widen(table: dict[str, set[str]], names: dict[str, list[str]]) -> None:
    """Give each entry of a module that has other names under those names too."""
    for key, roles in list(table.items()):
        module, name = key.split(":")
        for other in names.get(module, ()):
            table.setdefault(f"{other}:{name}", set()).update(roles)


def estimators() -> dict[str, list[str]]:
    from sklearn.utils import all_estimators, get_tags  # noqa: PLC0415 - slow

    warnings.simplefilter("ignore")
    table = {}
    for name, cls in all_estimators():
        methods = [m for m in ("predict", "transform", "predict_proba") if hasattr(cls, m)]
        try:
            task = get_tags(cls()).estimator_type
        except (TypeError, AttributeError):  # made of other estimators: its name tells
            task = None
        task = {"density_estimator": "clusterer"}.get(task, task) or by_name(name, methods)
        table[name] = [task, *methods]
    return table | EXPERIMENTAL


def by_name(name: str, methods: list[str]) -> str:
    for task in ("classifier", "regressor"):
        if task in name.lower() and "predict" in methods:
            return task
    return "transformer" if methods == ["transform"] else "unknown"


def write(name: str, table: dict[str, list[str]]) -> None:
    lines = ",\n".join(f" {json.dumps(k)}: {json.dumps(table[k])}" for k in sorted(table))
    (DATA / name).write_text(f"{{\n{lines}\n}}\n", "utf-8")


def main() -> None:
    table = observed(sys.argv[1])
    for key, roles in [*known().items(), *installed().items()]:
        table.setdefault(key, set()).update(roles)
    widen(table, TWINS)
    widen(table, {new: [old] for new, old in FORMER.items()})
    write("allowlist.json", {key: sorted(roles) for key, roles in table.items()})
    write("estimators.json", estimators())


if __name__ == "__main__":
    main()
