"""Members: the estimators inside an ensemble, a pipeline or a wrapper, which calls their methods.

An object of another kind may have a method of the same name that does something else. A member must
therefore be an estimator, or an object of a class that the user has to trust.
"""

from __future__ import annotations

from ..allowlist import roles, standing
from ..contracts import class_key, constructed_class, is_constructed
from ..contracts.kinds import Kind, either, nothing, number, result_of
from ..facts.estimators import is_estimator_of_sklearn
from ..nodes import DictNode, Global, Node, ObjectNode, Payload
from ..pickle.ndarrays import view
from .texts import one_of

_PLACEHOLDERS = {"deprecated", "drop", "passthrough", "prefit", "warn", "zero"}
"""Texts instead of an estimator, in some release."""

_HELPERS = {
    "LogOddsEstimator", "MeanEstimator", "PriorProbabilityEstimator", "QuantileEstimator",
    "ScaledLogOddsEstimator", "TreePredictor", "ZeroEstimator",
    "_BinaryGaussianProcessClassifierLaplace", "_CalibratedClassifier", "_ConstantPredictor",
    "_SigmoidCalibration", "_TemperatureScaling",
}  # fmt: skip
"""Private classes of scikit-learn that are members of its estimators."""

_LIBRARIES = {
    "catboost", "category_encoders", "hmmlearn", "imblearn", "lightgbm", "xgboost",
}  # fmt: skip
_OTHER_CLASSES = {"Booster", "ConvergenceMonitor", "ValueDifferenceMetric"}
"""Classes of these libraries that are not estimators."""

_TRIPLET = "_ImputerTriplet"
_BOOSTERS = {"lightgbm.basic:Booster", "xgboost.core:Booster"}


def _is_member(node: Node) -> bool:
    if not isinstance(node, ObjectNode):
        return node is None or _is_placeholder(node)
    key = class_key(node)
    if standing(key) == "unknown":
        return True
    return is_constructed(node) and "new" in roles(key) and _is_estimator(key)


def _is_estimator(key: str) -> bool:
    module, _, name = key.partition(":")
    top = module.partition(".")[0]
    if top == "sklearn":
        return name in _HELPERS or is_estimator_of_sklearn(name)
    return top in _LIBRARIES and name not in _OTHER_CLASSES


def members(node: Node, seen: set[int]) -> bool:
    """Return whether all values in nested lists, tuples, dicts and arrays of objects are members.

    `seen` contains the ids of the containers that have been checked.
    """
    waiting = [node]
    while waiting:
        each = waiting.pop()
        held = _contents(each)
        if held is None:
            if not _is_member(each):
                return False
        elif id(each) not in seen:
            seen.add(id(each))
            waiting += held
    return True


def _contents(node: Node) -> list[Node] | None:
    """Return the values in a container, or None if the node is not a container."""
    if isinstance(node, list | tuple):
        return list(node)
    if isinstance(node, DictNode):
        return node.values
    if isinstance(node, Payload) or _is_array(node):
        array = view(node)
        return array.items if array else None
    return None


def steps(position: int, node: Node) -> bool:
    """Return whether each entry of a list, as (name, estimator), has a member at `position`."""
    if node is None:
        return True
    if not isinstance(node, list | tuple):
        return False
    named_ones = all(isinstance(each, list | tuple) and len(each) > position for each in node)
    return named_ones and all(_is_member(each[position]) for each in node)


def triplets(node: Node) -> bool:
    """Return whether the steps of an iterative imputer each end with an estimator."""
    if node is None:
        return True
    return isinstance(node, list | tuple) and all(map(_is_triplet, node))


def _is_triplet(node: Node) -> bool:
    if not isinstance(node, ObjectNode) or not class_key(node).endswith(f":{_TRIPLET}"):
        return False
    # Protocols 0 and 1 write the tuple as one argument.
    values = node.args if constructed_class(node) is node.cls else node.args[-1]
    return isinstance(values, tuple) and values != () and _is_member(values[-1])


def _is_sklearn_object(node: Node) -> bool:
    """Return whether an object, as a tree or a loss, is of scikit-learn or must be trusted."""
    cls = node.cls if isinstance(node, ObjectNode) else None
    if not isinstance(cls, Global):
        return False
    ours = (class_key(node), cls.key)
    return any(key.startswith(("sklearn.", "_loss:")) or standing(key) == "unknown" for key in ours)


def _is_booster(node: Node) -> bool:
    key = class_key(node) if isinstance(node, ObjectNode) else ""
    return key in _BOOSTERS or (key != "" and standing(key) == "unknown")


_is_placeholder = one_of(_PLACEHOLDERS)
_is_array = result_of("array")
part: Kind = either(nothing, number, lambda node: isinstance(node, str), _is_sklearn_object)
booster: Kind = either(nothing, _is_booster)


# pandas looks up attributes among labels: the attribute `design_info` of a Series is the entry with
# that label. If the data of results were a Series, text of the file would reach patsy.
#
# `Results.predict` calls `model.predict(params, exog)`. If the model were results too, their
# formula would be evaluated with `params` as its data, and a name in it such as `C` would be a
# value of the file.
_MODEL_PARTS = {
    "M", "_link", "constraints", "cov_struct", "data", "exog_vc", "family", "link",
    "link_precision", "model", "params_object", "variance",
}  # fmt: skip
_RESULTS = {"_results", "_results_ols2nd", "results_constrained"}


def _is_statsmodels_object(node: Node) -> bool:
    if not isinstance(node, ObjectNode):
        return False
    key = class_key(node)
    if standing(key) == "unknown":
        return True
    return is_constructed(node) and "new" in roles(key) and key.startswith("statsmodels.")


def _is_model_part(node: Node) -> bool:
    key = class_key(node) if isinstance(node, ObjectNode) else ""
    is_results = standing(key) == "known" and key.endswith(("Results", "ResultsWrapper"))
    return _is_statsmodels_object(node) and not is_results


RULES: dict[str, tuple[Kind, str]] = {
    **dict.fromkeys(
        _RESULTS, (either(nothing, _is_statsmodels_object), "an object of statsmodels")
    ),
    **dict.fromkeys(
        _MODEL_PARTS,
        (either(nothing, _is_model_part), "an object of statsmodels other than results"),
    ),
}
"""Attribute of a statsmodels class -> the kind of its value, and its description."""
