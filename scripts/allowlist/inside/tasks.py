"""The task of each estimator class of scikit-learn, and the methods that give its predictions."""

import estimators

_METHODS = ("predict", "transform", "predict_proba")
_TASKS = {"density_estimator": "clusterer", "DensityEstimator": "clusterer"}


def table():
    """name -> [task, method, ...] of every estimator class."""
    import sklearn
    from sklearn.base import BaseEstimator

    return {
        name: _row(name, cls) for name, cls in estimators.classes(sklearn, BaseEstimator).items()
    }


def _row(name, cls):
    methods = [method for method in _METHODS if hasattr(cls, method)]
    kind = _estimator_type(cls)
    return [_TASKS.get(kind, kind) or _by_name(name, methods), *methods]


def _estimator_type(cls):
    try:
        from sklearn.utils import get_tags
    except ImportError:
        kind = getattr(cls, "_estimator_type", None)
        return kind if isinstance(kind, str) else None  # a property of meta-estimators
    try:
        return get_tags(cls()).estimator_type
    except (TypeError, AttributeError):  # made of other estimators: its name decides
        return None


def _by_name(name, methods):
    for task in ("classifier", "regressor"):
        if task in name.lower() and "predict" in methods:
            return task
    return "transformer" if methods == ["transform"] else "unknown"
