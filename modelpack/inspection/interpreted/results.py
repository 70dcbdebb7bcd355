"""Parts of results of statsmodels: what predictions call methods and read attributes of.

pandas and numpy look up attributes among labels: the attribute `design_info` of a Series is the
entry with that label. Results whose data were a Series would hand text of the file to patsy.
"""

from __future__ import annotations

from ..allowlist import roles, standing
from ..contracts import class_key, is_made
from ..contracts.kinds import Kind, either, nothing
from ..nodes import Node, Obj

_PARTS = {
    "M", "_link", "_results", "_results_ols2nd", "constraints", "cov_struct", "data", "exog_vc",
    "family", "link", "link_precision", "model", "params_object", "results_constrained", "variance",
}  # fmt: skip


def _of_statsmodels(node: Node) -> bool:
    if not isinstance(node, Obj):
        return False
    key = class_key(node)
    if standing(key) == "unknown":  # the user has to trust it anyway
        return True
    return is_made(node) and "new" in roles(key) and key.startswith("statsmodels.")


RULES: dict[str, tuple[Kind, str]] = {
    name: (either(nothing, _of_statsmodels), "an object of statsmodels") for name in _PARTS
}
"""Attribute of a class of statsmodels -> what it may hold, and that in words."""
