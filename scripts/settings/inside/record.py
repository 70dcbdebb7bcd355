"""Print the constructor parameters of the planned classes, those that methods which predict read,
and the values that constraints allow, as JSON.

Run by the interpreter of a release, with the repository in PYTHONPATH.
"""

import ast
import inspect
import json
import textwrap
import warnings

from . import models, values

PREDICTING = ("predict", "predict_proba", "decision_function", "transform", "predict_log_proba",
              "predict_joint_log_proba", "score_samples")  # fmt: skip
HOLDERS = ("self", "estimator")
"""Names of variables that hold the estimator."""
TRAINING = ("fit", "fit_transform", "partial_fit", "score", "get_params", "set_params")


def read(kind):
    """Return the parameters that methods which predict read, directly or by other methods."""
    parameters, found = set(kind._get_param_names()), set()
    waiting, seen = [name for name in PREDICTING if hasattr(kind, name)], set(TRAINING)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for attribute in _names(kind, name):
            if attribute in parameters:
                found.add(attribute)
            elif any(attribute in vars(each) for each in kind.__mro__):
                waiting.append(attribute)
    return sorted(found)


def _names(kind, method):
    """Yield the attributes of `self` that a method mentions, and its texts, as of getattr."""
    for each in kind.__mro__:
        function = vars(each).get(method)
        function = getattr(function, "fget", None) or getattr(function, "fn", function)
        if not callable(function):
            continue
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
        except (OSError, TypeError, SyntaxError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") in HOLDERS:
                yield node.attr
            text = getattr(node, "s", None) if type(node).__name__ == "Str" else None
            text = node.value if type(node).__name__ == "Constant" else text
            if isinstance(text, str) and text in kind._get_param_names():
                yield text


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    found = models.classes()
    parameters = {name: sorted(kind._get_param_names()) for name, kind in found.items()}
    document = {
        "parameters": parameters,
        "read": {name: read(kind) for name, kind in found.items()},
    }
    document["constraints"] = {name: values.recorded(kind) for name, kind in found.items()}
    print(json.dumps(document))
