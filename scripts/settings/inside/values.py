"""Values of constructor parameters, from the constraints that scikit-learn itself checks."""

import json
import numbers
from pathlib import Path

import numpy as np

RECORDED = Path(__file__).parents[1] / "constraints.json"
"""Values by class and parameter, for releases that do not state their constraints."""

DTYPES = [np.float64, np.float32, np.int64, np.int8, np.uint8, np.int16, np.int32, bool, np.float16]

FIXED = {
    "verbose": [0], "random_state": [0], "n_jobs": [None], "warm_start": [False], "cv": [3],
    "memory": [None], "scoring": [None], "refit": [True], "error_score": [0.0],
    "n_estimators": [3, 1, 12], "max_iter": [200, 20], "max_depth": [3, None, 1], "n_init": [2],
    "class_weight": [None, "balanced"], "dtype": DTYPES, "n_components": [2, None, 1],
    "C": [1.0, 0.05, 30.0], "alpha": [0.01, 1.0, 0.3], "n_alphas": [5], "cache_size": [200],
    "n_clusters": [3, 8], "n_quantiles": [20, 5], "n_bins": [4, 2, 9], "max_subpopulation": [50],
    "max_features": [None, 2, 1], "tol": [1e-3], "max_leaf_nodes": [None, 4], "n_iter": [20],
    "min_samples_leaf": [1, 5], "max_samples": [None, 0.7], "n_features": [2**20, 7, 64],
    "quantile_range": [(25.0, 75.0), (5.0, 60.0)], "feature_range": [(0, 1), (-3.0, 0.5)],
    "missing_values": [np.nan, -1, 0], "fill_value": [None, 7, -1.5, "none"],
    "drop": [None, "first", "if_binary"],
    "unknown_value": [None, -1, np.nan, 999], "encoded_missing_value": [np.nan, -2, 500],
    "max_categories": [None, 2, 5], "min_frequency": [None, 2, 0.02], "threshold": [0.0, 0.3],
    "ngram_range": [(1, 1), (1, 2), (2, 3)], "vocabulary": [None], "max_df": [1.0, 0.5],
    "min_df": [1, 2], "stop_words": [None, "english", ["red"]],
    "token_pattern": [r"(?u)\b\w\w+\b", r"\w"],
    "input": ["content"], "degree": [2, 3, 1], "subsample": [1.0, 0.6],
    "learning_rate_init": [0.01],
    "hidden_layer_sizes": [(6,), (5, 4), (1,), ()], "n_features_to_select": [2, 1], "k": [2, "all"],
    "percentile": [40, 100], "shrinkage": [None, "auto", 0.3], "init": [None, "zero"],
    "binarize": [0.0, None, 0.5], "weights": [None, [1, 2]],
    "transformer_weights": [None, {"a": 2.0}],
    "Cs": [3], "alphas": [5], "l1_ratio": [0.5, 0.1], "l1_ratios": [None], "max_n_alphas": [20],
    "min_resources": ["exhaust"], "factor": [3], "aggressive_elimination": [False],
    "resource": ["n_samples"], "max_resources": ["auto"], "n_candidates": [1],
    "n_subsamples": [None], "pre_dispatch": ["2*n_jobs"], "early_stopping": [False],
    "prefit": [False], "categories": ["auto"], "interaction_cst": [None], "eta0": [0.1],
    "min_samples": [None], "n_nonzero_coefs": [2, 500],
}  # fmt: skip
"""Values of parameters whose constraints are too wide, or whose others only cost time."""
SPECIAL = {
    "HistGradientBoostingClassifier.max_iter": [5, 1, 20],
    "HistGradientBoostingRegressor.max_iter": [5, 1, 20],
    "HistGradientBoostingClassifier.max_features": [1.0, 0.5],
    "HistGradientBoostingRegressor.max_features": [1.0, 0.5],
    "HistGradientBoostingClassifier.categorical_features": [None, [1]],
    "HistGradientBoostingRegressor.categorical_features": [None, [1]],
    "HistGradientBoostingClassifier.early_stopping": [False, True],
    "HistGradientBoostingRegressor.loss": ["squared_error", "poisson", "absolute_error", "gamma"],
    "GradientBoostingClassifier.learning_rate": [0.1, 1.0],
    "PolynomialFeatures.degree": [2, 3, (2, 3), (0, 2)],
    "IsolationForest.max_features": [1.0, 0.5],
    "IsolationForest.max_samples": ["auto", 0.5],
    "BaggingClassifier.max_features": [1.0, 0.6],
    "BaggingRegressor.max_features": [1.0, 0.6],
    "BaggingClassifier.max_samples": [1.0, 0.5],
    "BaggingRegressor.max_samples": [1.0, 0.5],
    "CountVectorizer.max_features": [None, 3],
    "TfidfVectorizer.max_features": [None, 3],
    "KMeans.init": ["k-means++", "random"],
    "MiniBatchKMeans.init": ["k-means++", "random"],
    "MiniBatchKMeans.n_init": [2],
    "TweedieRegressor.power": [0.0, 1.0, 1.5],
    "GaussianNB.priors": [None],
    "SelectFromModel.threshold": [None, "mean", "0.5*median"],
    "SelectFromModel.max_features": [None, 2],
    "VarianceThreshold.threshold": [0.0, 0.1],
    "KBinsDiscretizer.subsample": [None, 200000],
    "QuantileTransformer.subsample": [100000, 50],
    "KBinsDiscretizer.dtype": [None, np.float64, np.float32],
    "RobustScaler.unit_variance": [False, True],
    "QuantileRegressor.solver": ["highs", "interior-point"],
    "OneHotEncoder.handle_unknown": ["ignore", "error", "infrequent_if_exist", "warn"],
    "OrdinalEncoder.handle_unknown": ["error", "use_encoded_value"],
    "DummyClassifier.constant": [0],
    "DummyRegressor.constant": [1.5],
    "DummyRegressor.quantile": [0.5],
    "GenericUnivariateSelect.param": [0.5, 1],
    "Pipeline.verbose": [False],
    "LinearSVR.loss": ["squared_epsilon_insensitive", "epsilon_insensitive"],
    "TruncatedSVD.n_components": [2, 1],
    "SVC.kernel": ["rbf", "linear", "poly", "sigmoid"],
    "SVR.kernel": ["rbf", "linear", "poly", "sigmoid"],
    "NuSVC.kernel": ["rbf", "linear", "poly", "sigmoid"],
    "NuSVR.kernel": ["rbf", "linear", "poly", "sigmoid"],
    "OneClassSVM.kernel": ["rbf", "linear", "poly", "sigmoid"],
    "SVC.probability": [False, True],
    "NuSVC.probability": [False, True],
    "NuSVC.nu": [0.1, 0.3],
    "OneClassSVM.nu": [0.5, 0.1],
    "RANSACRegressor.loss": ["absolute_error", "squared_error"],
    "LogisticRegression.multi_class": ["auto", "ovr", "multinomial"],
    "LogisticRegressionCV.multi_class": ["auto", "ovr", "multinomial"],
    "SGDClassifier.loss": ["log_loss", "log", "hinge", "modified_huber", "squared_hinge",
                           "perceptron", "huber", "squared_error", "epsilon_insensitive"],
    "OneHotEncoder.sparse": [True, False],
    "LinearDiscriminantAnalysis.priors": [None],
    "LinearDiscriminantAnalysis.n_components": [None, 1],
    "TheilSenRegressor.max_subpopulation": [50],
    "RFECV.min_features_to_select": [1, 2],
    "HashingVectorizer.n_features": [2**20, 7, 64],
}  # fmt: skip


def candidates(kind, skipped):
    """Return the values to try of each parameter of a class, except for those in `skipped`."""
    stated = getattr(kind, "_parameter_constraints", None)
    if stated is None:
        found = json.loads(RECORDED.read_text()).get(kind.__name__, {})
    else:
        found = {name: _values(each) for name, each in stated.items()}
    chosen = {}
    for name in kind._get_param_names():
        if name in skipped:
            continue
        values = SPECIAL.get(kind.__name__ + "." + name, FIXED.get(name, found.get(name)))
        if values:
            chosen[name] = values
    return chosen


def recorded(kind):
    """Return what of `candidates` JSON can hold, for releases without constraints."""
    stated = getattr(kind, "_parameter_constraints", {})
    return {name: values for name, each in stated.items() for values in [_values(each)] if values}


def _values(constraints):
    if not isinstance(constraints, list):
        return []
    return [value for each in constraints for value in _constraint_values(each)]


def _constraint_values(constraint):
    kind = type(constraint).__name__
    if constraint is None:
        return [None]
    if constraint == "boolean":
        return [False, True]
    if kind == "StrOptions":
        return sorted(constraint.options - constraint.deprecated)
    if kind in ("Interval", "RealNotInt"):
        return _interval_values(constraint)
    return []


def _interval_values(interval):
    is_whole = isinstance(interval.type, type) and issubclass(interval.type, numbers.Integral)
    low = -2 if interval.left is None or interval.left == -np.inf else interval.left
    steps = (0, 1, 2, 9) if is_whole else (0.0, 0.05, 0.5, 1.0)
    values = [low + step for step in steps]
    if interval.right is not None and interval.right not in values:
        values += [interval.right] if interval.right != np.inf else []
    kept = [value for value in values if value in interval]
    return [int(value) if is_whole else float(value) for value in kept if abs(value) < 1e6]
