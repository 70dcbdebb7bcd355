"""Parts of results of statsmodels: what predictions call methods and read attributes of.

pandas and numpy look up attributes among labels: the attribute `design_info` of a Series is the
entry with that label. Results whose data were a Series would hand text of the file to patsy.

`Results.predict` calls `model.predict(params, exog)`. If the model were results, too, their formula
would be evaluated with `params` for its data, and names in it such as `C` would mean what the file
has there.
"""

from __future__ import annotations

from ..allowlist import roles, standing
from ..contracts import class_key, is_made
from ..contracts.kinds import Kind, either, nothing
from ..nodes import Node, Obj

_PARTS = {
    "M", "_link", "constraints", "cov_struct", "data", "exog_vc", "family", "link",
    "link_precision", "model", "params_object", "variance",
}  # fmt: skip
_RESULTS = {"_results", "_results_ols2nd", "results_constrained"}


def _of_statsmodels(node: Node) -> bool:
    if not isinstance(node, Obj):
        return False
    key = class_key(node)
    if standing(key) == "unknown":  # the user has to trust it anyway
        return True
    return is_made(node) and "new" in roles(key) and key.startswith("statsmodels.")


def _no_results(node: Node) -> bool:
    key = class_key(node) if isinstance(node, Obj) else ""
    is_results = standing(key) == "known" and key.endswith(("Results", "ResultsWrapper"))
    return _of_statsmodels(node) and not is_results


RULES: dict[str, tuple[Kind, str]] = {
    **dict.fromkeys(_RESULTS, (either(nothing, _of_statsmodels), "an object of statsmodels")),
    **dict.fromkeys(
        _PARTS, (either(nothing, _no_results), "an object of statsmodels other than results")
    ),
}
"""Attribute of a class of statsmodels -> what it may hold, and that in words."""
