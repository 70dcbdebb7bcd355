"""Members of estimators: what an ensemble, a pipeline or a wrapper calls the methods of.

A method of the right name does something else in an object of another kind: only an estimator,
or an object of a class that the user has to trust anyway, may be a member.
"""

from __future__ import annotations

from ..allowlist import roles, standing
from ..contracts import class_key, constructed_class, is_constructed
from ..contracts.kinds import Kind, either, nothing, number, result_of
from ..facts.estimators import is_estimator_of_sklearn
from ..nodes import DictNode, Global, Node, ObjectNode, Payload
from ..pickle.ndarrays import view
from .texts import one_of

_WORDS = {"deprecated", "drop", "passthrough", "prefit", "warn", "zero"}
"""What stands in the place of an estimator that is not there, in some release."""

_HELPERS = {
    "LogOddsEstimator", "MeanEstimator", "PriorProbabilityEstimator", "QuantileEstimator",
    "ScaledLogOddsEstimator", "TreePredictor", "ZeroEstimator",
    "_BinaryGaussianProcessClassifierLaplace", "_CalibratedClassifier", "_ConstantPredictor",
    "_SigmoidCalibration", "_TemperatureScaling",
}  # fmt: skip
"""Private classes of scikit-learn that it makes members of its estimators."""

_LIBRARIES = {
    "catboost", "category_encoders", "hmmlearn", "imblearn", "lightgbm", "xgboost",
}  # fmt: skip
_OTHER_CLASSES = {"Booster", "ConvergenceMonitor", "ValueDifferenceMetric"}
"""Classes of these libraries that are no estimators."""

_TRIPLET = "_ImputerTriplet"
_BOOSTERS = {"lightgbm.basic:Booster", "xgboost.core:Booster"}


def _is_member(node: Node) -> bool:
    if not isinstance(node, ObjectNode):
        return node is None or _word(node)
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
    """Whether all values are members, in lists, tuples, dicts and arrays of objects. `seen` holds
    the ids of containers that were found sound.
    """
    waiting = [node]
    while waiting:
        each = waiting.pop()
        held = _held(each)
        if held is None:
            if not _is_member(each):
                return False
        elif id(each) not in seen:
            seen.add(id(each))
            waiting += held
    return True


def _held(node: Node) -> list[Node] | None:
    """The values in a container; None of what is none."""
    if isinstance(node, list | tuple):
        return list(node)
    if isinstance(node, DictNode):
        return node.values
    if isinstance(node, Payload) or _array(node):
        array = view(node)
        return array.items if array else None
    return None


def steps(place: int, node: Node) -> bool:
    """Whether each value of a list has a member in this place, next to its name."""
    if node is None:
        return True
    if not isinstance(node, list | tuple):
        return False
    named_ones = all(isinstance(each, list | tuple) and len(each) > place for each in node)
    return named_ones and all(_is_member(each[place]) for each in node)


def triplets(node: Node) -> bool:
    """The steps of an iterative imputer: named tuples that end with an estimator."""
    if node is None:
        return True
    return isinstance(node, list | tuple) and all(map(_is_triplet, node))


def _is_triplet(node: Node) -> bool:
    if not isinstance(node, ObjectNode) or not class_key(node).endswith(f":{_TRIPLET}"):
        return False
    # Protocols 0 and 1 write the tuple as one argument.
    values = node.args if constructed_class(node) is node.cls else node.args[-1]
    return isinstance(values, tuple) and values != () and _is_member(values[-1])


def _of_sklearn(node: Node) -> bool:
    """A tree or loss: an object of scikit-learn, whichever way it is made."""
    cls = node.cls if isinstance(node, ObjectNode) else None
    if not isinstance(cls, Global):
        return False
    ours = (class_key(node), cls.key)
    return any(key.startswith(("sklearn.", "_loss:")) or standing(key) == "unknown" for key in ours)


def _booster(node: Node) -> bool:
    key = class_key(node) if isinstance(node, ObjectNode) else ""
    return key in _BOOSTERS or (key != "" and standing(key) == "unknown")


_word = one_of(_WORDS)
_array = result_of("array")
part: Kind = either(nothing, number, lambda node: isinstance(node, str), _of_sklearn)
booster: Kind = either(nothing, _booster)


# pandas and numpy look up attributes among labels: the attribute `design_info` of a Series is the
# entry with that label. Results whose data were a Series would hand text of the file to patsy.
#
# `Results.predict` calls `model.predict(params, exog)`. If the model were results, too, their
# formula would be evaluated with `params` for its data, and names in it such as `C` would mean
# what the file has there.
_PARTS = {
    "M", "_link", "constraints", "cov_struct", "data", "exog_vc", "family", "link",
    "link_precision", "model", "params_object", "variance",
}  # fmt: skip
_RESULTS = {"_results", "_results_ols2nd", "results_constrained"}


def _of_statsmodels(node: Node) -> bool:
    if not isinstance(node, ObjectNode):
        return False
    key = class_key(node)
    if standing(key) == "unknown":  # the user has to trust it anyway
        return True
    return is_constructed(node) and "new" in roles(key) and key.startswith("statsmodels.")


def _no_results(node: Node) -> bool:
    key = class_key(node) if isinstance(node, ObjectNode) else ""
    is_results = standing(key) == "known" and key.endswith(("Results", "ResultsWrapper"))
    return _of_statsmodels(node) and not is_results


RULES: dict[str, tuple[Kind, str]] = {
    **dict.fromkeys(_RESULTS, (either(nothing, _of_statsmodels), "an object of statsmodels")),
    **dict.fromkeys(
        _PARTS, (either(nothing, _no_results), "an object of statsmodels other than results")
    ),
}
"""Attribute of a class of statsmodels -> what it may hold, and that in words."""
