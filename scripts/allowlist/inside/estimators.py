"""Every estimator class of a library, fitted with every choice that its parameters offer."""

import importlib
import inspect
import pickle
import pkgutil

import samples as s
from saving import TooSlow

TARGETS = (
    (s.X, s.BINARY), (s.X, s.LABELS), (s.X, s.NUMBERS), (s.X, s.SEVERAL), (s.X, s.PARTLY),
    (s.WORDS, s.BINARY), (s.DICTS, s.BINARY), (s.COLOURS, s.BINARY), (s.X[:, 0], s.NUMBERS),
    (s.X, s.X[:, :2]), (s.DISTANCES, s.BINARY), (s.HOLES, s.BINARY), (s.LEVELS, s.BINARY),
    (s.LABELS,), (s.X[:, 0],), ([["a", "b"], ["c"]],), (s.X > 1, s.BINARY),
)  # fmt: skip

# Few rounds and small sizes: what is wanted is what is saved, not that it is right.
SMALL = {
    "n_estimators": 2, "max_iter": 3, "n_iter": 3, "n_init": 1, "n_components": 2, "n_clusters": 2,
    "hidden_layer_sizes": (3,), "cv": 2, "n_resampling": 2, "max_n_iter": 3, "iterations": 2,
    "n_restarts_optimizer": 1, "n_neighbors": 3, "n_quantiles": 5, "min_bin": 2,
    "max_features_to_select": 2, "batch_size": 10, "min_resources": 10, "perplexity": 5,
}  # fmt: skip

# Parameters that choose between classes. A choice that a class or a release does not have fails.
CHOICES = {
    "loss": (
        "hinge", "log", "log_loss", "modified_huber", "squared_hinge", "perceptron",
        "squared_loss", "squared_error", "huber", "epsilon_insensitive",
        "squared_epsilon_insensitive", "deviance", "exponential", "ls", "lad", "absolute_error",
        "quantile", "poisson", "gamma", "least_squares", "least_absolute_deviation",
        "binary_crossentropy", "categorical_crossentropy", "auto", "linear", "square",
    ),
    "quantile": (0.5,),
    "algorithm": ("ball_tree", "kd_tree", "brute", "SAMME", "lloyd", "elkan", "full", "arpack"),
    "solver": (
        "liblinear", "sag", "saga", "newton-cg", "newton-cholesky", "lbfgs", "adam", "sgd", "mu",
        "cholesky", "lsqr", "svd", "eigen", "highs", "lsqr",
    ),
    "criterion": (
        "gini", "entropy", "log_loss", "squared_error", "absolute_error", "friedman_mse",
        "poisson", "mse", "mae",
    ),
    "kernel": (
        "linear", "poly", "rbf", "sigmoid", "cosine", "gaussian", "tophat", "epanechnikov", "knn",
    ),
    "covariance_type": ("full", "tied", "diag", "spherical"),
    "strategy": (
        "mean", "median", "most_frequent", "constant", "uniform", "quantile", "kmeans", "prior",
        "stratified",
    ),
    "method": ("isotonic", "sigmoid", "temperature", "yeo-johnson", "box-cox", "exact", "random"),
    "weights": ("uniform", "distance"),
    "splitter": ("best", "random"),
    "multi_class": ("ovr", "multinomial", "crammer_singer", "one_vs_one"),
    "selection": ("cyclic", "random"),
    "mode": ("percentile", "k_best", "fpr", "fdr", "fwe"),
    "link": ("auto", "identity", "log"),
    "power": (0, 1, 1.5, 2, 3),
    "link_function": ("logit",),
    "learning_rate": ("constant", "optimal", "invscaling", "adaptive"),
    "fit_algorithm": ("lars", "cd"),
    "encode": ("onehot", "onehot-dense", "ordinal"),
    "early_stopping": (True,),
    "probability": (True,),
    "oob_score": (True,),
    "average": (True,),
    "sparse_output": (True, False),
    "sparse": (True, False),
    "warm_start": (True,),
    "store_cv_values": (True,),
    "store_cv_results": (True,),
    "add_indicator": (True,),
    "random_state": (0,),
    "positive": (True,),
    "use_encoded_value": ("ignore",),
    "output_distribution": ("normal",),
    "voting": ("soft",),
    "init": ("random", "k-means++", "nndsvd"),
    "monotonic_cst": ([1, 0, 0, -1],),
    "categorical_features": ([0],),
}  # fmt: skip


def classes(package, base):
    """Every class below `base` that the modules of a package define, by name."""
    found = {}
    for module in _modules(package):
        for name, cls in inspect.getmembers(module, inspect.isclass):
            is_own = cls.__module__.startswith(package.__name__ + ".") and issubclass(cls, base)
            if is_own and not name.startswith(("_", "Base")) and not inspect.isabstract(cls):
                found[name] = cls
    return found


def _modules(package):
    for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not any(part in info.name for part in _NO_MODELS):
            try:
                yield importlib.import_module(info.name)
            except Exception:
                continue


_NO_MODELS = ("test", "externals", "setup", "conftest", "datasets", "estimator_checks", "mocking",
              "_build", "__main__", "show_versions", "sklearn_api", "plotting")  # fmt: skip


def maker(cls):
    """A function that gives the list of the fitted objects of a class.

    It is fitted to every target that it takes, and with every choice to the first two of these.
    """

    def make():
        problem = None
        for parameters in _ways(cls):
            tried = [(target, *_fitted(cls, parameters, target)) for target in TARGETS]
            fitting = [(target, model) for target, model, _ in tried if model is not None]
            if fitting:
                targets = [target for target, _ in fitting[:2]]
                return [model for _, model in fitting] + list(_chosen(cls, parameters, targets))
            problem = problem or tried[0][2]
        raise problem

    return make


def _chosen(cls, parameters, targets):
    for name, values in CHOICES.items():
        if name in _parameters(cls):
            for value in values:
                for target in targets:
                    model, _ = _fitted(cls, dict(parameters, **{name: value}), target)
                    if model is not None:
                        yield model


def _fitted(cls, parameters, target):
    """Return the fitted object and None, or None and the reason."""
    try:
        model = cls(**parameters).fit(*target)
        pickle.dumps(model, 2)
    except TooSlow:
        raise
    except Exception as error:
        return None, error
    return model, None


def _parameters(cls):
    init = getattr(cls.__init__, "deprecated_original", cls.__init__)
    return inspect.signature(init).parameters


def _ways(cls):
    """Parameters to try: small ones, only those that it cannot do without, all that are known."""
    known = _regressors() if "Regressor" in cls.__name__ else _classifiers()
    parameters = _parameters(cls)
    empty = [name for name, p in parameters.items() if p.default is inspect.Parameter.empty]
    needed = {name: known[name] for name in empty if name in known}
    yield dict({name: SMALL[name] for name in parameters if name in SMALL}, **needed)
    yield needed
    yield {name: known[name] for name in parameters if name in known}


def _classifiers():
    from sklearn.linear_model import LogisticRegression

    return _required(LogisticRegression(solver="lbfgs"))


def _regressors():
    from sklearn.linear_model import LinearRegression

    return _required(LinearRegression())


def _required(model):
    from sklearn.preprocessing import StandardScaler

    return {
        "estimator": model, "base_estimator": model, "regressor": model,
        "estimators": [("a", model), ("b", model)],
        "steps": [("a", StandardScaler()), ("b", model)],
        "transformers": [("a", StandardScaler(), [0, 1])],
        "transformer_list": [("a", StandardScaler())],
        "param_grid": {"fit_intercept": [True, False]},
        "param_distributions": {"fit_intercept": [True, False]}, "n_iter": 2,
        "dictionary": s.X[:4],
    }  # fmt: skip


def makers(package, base):
    """name -> function, of every estimator class of a package."""
    return {"class-" + name: maker(cls) for name, cls in classes(package, base).items()}


def experimental():
    """Let sklearn show what it hides behind these imports."""
    for name in ("hist_gradient_boosting", "iterative_imputer", "halving_search_cv"):
        try:
            importlib.import_module("sklearn.experimental.enable_" + name)
        except ImportError:
            continue
