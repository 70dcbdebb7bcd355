"""Columns of Arrow types whose values modelpack does not read.

pyarrow restores arrays without checks. Contracts and invariants cover arrays of one buffer of
values, and of texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from modelpack.types import Finding

from ..nodes import ObjectNode
from ..verdicts import UNKNOWN

CODE = "arrow-type"

_UNREAD = {
    "binary", "bool8", "decimal32", "decimal64", "decimal256", "dictionary", "fixed_shape_tensor",
    "json_", "large_list", "large_list_view", "list_", "list_view", "map_", "run_end_encoded",
    "sparse_union", "struct", "union", "uuid",
}  # fmt: skip
"""Functions of pyarrow.lib that create a type."""

_ALIASES = {"binary_view", "month_day_nano_interval", "string_view"}
"""Names of types without parameters."""

_OF_COLUMNS = re.compile(r"pyarrow\.lib:\w+|pandas(\.\w+)*:Arrow(Dtype|ExtensionArray)", re.ASCII)
_CODES = {"bad-arguments", "bad-state", "broken-invariant", UNKNOWN}
"""Codes of findings on a column of an unread type."""


def unread_type(findings: Iterable[Finding], objects: Iterable[ObjectNode]) -> str | None:
    """Return why a file with such a column is not read, or None.

    None also if a finding is about anything else.
    """
    name = next(filter(None, map(_type_name, objects)), None)
    if name is None or not all(map(_is_of_column, findings)):
        return None
    return f"it contains a column of the Arrow type {name}, which modelpack does not read"


def _type_name(node: ObjectNode) -> str | None:
    module, _, name = node.cls.key.partition(":")
    if module != "pyarrow.lib" or node.how != "call":
        return None
    if name == "type_for_alias" and len(node.args) == 1 and isinstance(node.args[0], str):
        return node.args[0] if node.args[0] in _ALIASES else None
    return name.rstrip("_") if name in _UNREAD else None


def _is_of_column(finding: Finding) -> bool:
    return finding.code in _CODES and bool(_OF_COLUMNS.fullmatch(finding.global_ or ""))
