"""Objects of pandas in skops files, which skops saves but cannot restore.

skops creates an object without arguments and sets its attributes. An index of pandas cannot be
created without its values. The compiled manager of a DataFrame has no attributes, so the file lacks
the contents of the DataFrame. Other compiled values, such as those of pyarrow and dates, are also
not among the attributes: skops fails, or returns an object without its contents, and the use of
such a column ends the process. skops 0.16 restores some of them by a call, which is no such object.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from modelpack.types import Finding

from ..nodes import DictNode, Node, ObjectNode
from ..verdicts import UNKNOWN
from .estimators import attributes

CODE = "skops-pandas"
NO_CONTENTS = "skops saved a DataFrame without its contents"

_INDEX = re.compile(r"pandas(\.core\.indexes\.\w+)?:\w*Index", re.ASCII)
_VALUE = re.compile(
    r"pandas(\.\w+)*:(Categorical|Interval|Period|Timedelta|Timestamp|ArrowDtype|(Block|Int)Index"
    r"|(Arrow\w+|Datetime|Interval|Numpy\w+|Pandas|Period|String|Timedelta)Array\w*)"
    r"|pandas\._libs\.tslibs\.offsets:\w+|pandas\.api\.typing:NAType|pyarrow\.lib:\w+"
    r"|datetime:(date|datetime|timedelta)",
    re.ASCII,
)
_MANAGER = re.compile(r"pandas\.core\.internals(\.managers)?:BlockManager", re.ASCII)
_HOLDER = re.compile(r"pandas(\.\w+)*:(SparseArray|(Numpy\w+|String)Dtype)", re.ASCII)
"""What skops restores, unless it contains a value that skops does not restore."""

_PARTS = {"builtins:object", "builtins:range"}
"""What an index contains besides its values: its identity and the entries of a RangeIndex."""

_OF_VALUES = {"bad-arguments", "bad-state", "broken-invariant"}
"""Codes of findings on an object without its contents."""

_KIND = "ObjectNode"
"""The kind of state of skops, which no pickle has: there, the opcode has this place."""


def unloadable(findings: Iterable[Finding], objects: Iterable[ObjectNode]) -> str | None:
    """Return why skops cannot load a file, or None.

    None also if a finding is about anything but parts of pandas and names to be trusted.
    """
    reason = next(filter(None, map(_reason, objects)), None)
    return reason if reason and all(map(_is_expected, findings)) else None


def lacks_contents(frame: Node) -> bool:
    """Return whether skops saved a DataFrame without its values and columns."""
    found = attributes(frame)
    manager = found.get("_mgr", found.get("_data"))
    return isinstance(manager, ObjectNode) and _reason(manager) == NO_CONTENTS


def _reason(node: ObjectNode) -> str | None:
    if node.how != "new" or node.opcode != _KIND:
        return None
    if _INDEX.fullmatch(node.cls.key):
        return f"skops saved an index of pandas ({node.cls.dotted}), which skops cannot load"
    if _VALUE.fullmatch(node.cls.key):
        library = node.cls.key.partition(":")[0].partition(".")[0]
        return f"skops saved an object of {library} ({node.cls.dotted}), which skops cannot restore"
    is_empty = all(isinstance(each, DictNode) and not each.keys for each in node.states)
    return NO_CONTENTS if is_empty and _MANAGER.fullmatch(node.cls.key) else None


def _is_expected(finding: Finding) -> bool:
    name = finding.global_ or ""
    if finding.code == "unexpected-role":
        is_part = name in _PARTS or name.startswith(("pandas.", "pandas:"))
        return is_part or bool(_VALUE.fullmatch(name))
    if finding.code in _OF_VALUES and (_VALUE.fullmatch(name) or _HOLDER.fullmatch(name)):
        return True
    if finding.code == "broken-invariant":
        return bool(_MANAGER.fullmatch(name))
    if finding.code == "bad-callable":  # a DataFrame's index that another index keeps
        return bool(_INDEX.fullmatch(name)) and "_cache of" in finding.message
    return finding.code in {CODE, UNKNOWN}
