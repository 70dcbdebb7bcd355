"""Formulas in the states of objects, which statsmodels evaluates with patsy or formulaic.

A formula is Python code. statsmodels saves its text and the training frame. It evaluates the text
when the data of a model is loaded, in the namespaces of the loading code, and the result again for
each request. A formula is refused unless it consists of terms of columns (see `grammar`).

See statsmodels/base/data.py, `__setstate__`, and statsmodels/base/model.py,
`_transform_predict_exog`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from modelpack.types import Finding

from ..allowlist import contract_name
from ..contracts import class_key
from ..facts import skops_pandas
from ..facts.estimators import axes
from ..nodes import COMPOSITE, DictNode, Global, Node, ObjectNode, children
from ..pickle.ndarrays import view
from .grammar import RESERVED, Formula, NotAFormula, parse

__all__ = ["CODE", "Formula", "NotAFormula", "check", "parse"]

CODE = "formula"

_RESTORED = {"restore_design_info", "restore_model_spec"}
"""Keys that make the data of a model evaluate its formula, before statsmodels 0.15 and since."""

_EVALUATED = {
    "design_info", "design_info_linear", "model_spec", "model_spec_linear", "noise_design_info",
    "noise_model_spec", "scale_design_info", "scale_model_spec", "smooth_design_info",
    "smooth_model_spec",
}  # fmt: skip
"""Attributes that predictions pass to patsy or formulaic, which take text as well."""

_FRAMES = {"pandas.core.frame:DataFrame", "pandas:DataFrame"}
_FRAME_PACKAGES = {
    "__builtin__", "_codecs", "builtins", "collections", "copy_reg", "copyreg", "datetime",
    "decimal", "joblib", "numpy", "pandas", "pyarrow", "pytz",
}  # fmt: skip
"""Packages whose objects a frame may contain: on other objects, numpy functions such as `log` call
the method of that name.
"""


def check(objects: Iterable[ObjectNode]) -> Iterator[Finding]:
    """Yield a finding for each class with a formula that is more than terms of columns."""
    checks = _Checks()
    reported = set()
    for node in objects:
        key = class_key(node)
        for state in node.states:
            for part in state if isinstance(state, tuple) else (state,):
                why = checks.problem(key, part) if isinstance(part, DictNode) else None
                if why and (key, why) not in reported:
                    reported.add((key, why))
                    yield _finding(node, why)


def _finding(node: ObjectNode, why: str) -> Finding:
    key = class_key(node)
    if why == skops_pandas.NO_CONTENTS:
        return Finding(skops_pandas.CODE, why, node.offset, node.opcode, key)
    message = f"{key.replace(':', '.')} cannot be loaded or served: {why}"
    return Finding(CODE, message, node.offset, node.opcode, key or None)


class _Checks:
    """Checks of states, which read shared texts and frames once."""

    def __init__(self) -> None:
        self._formulas: dict[int, Formula | str] = {}
        self._frames: dict[int, set[Node] | str] = {}
        self._pairs: dict[tuple[int, int], str | None] = {}

    def problem(self, key: str, state: DictNode) -> str | None:
        """Return why a formula in a state of a class is refused, or None."""
        pairs = zip(state.keys, state.values, strict=True)
        found = {name: value for name, value in pairs if type(name) is str and name in _NAMES}
        for name in sorted(_EVALUATED & found.keys()):
            if found[name] is not None:
                return f"its {name} would be evaluated as a formula"
        is_restored = bool(_RESTORED & found.keys())
        if is_restored and contract_name(key) != "formula":
            return "only data of statsmodels evaluates a formula when it is loaded"
        text = found.get("formula")
        if not is_restored and (text is None or not key.startswith("statsmodels.")):
            return None
        formula = self._formula(text)
        if isinstance(formula, str):
            return formula
        return self._frame_problem(formula, text, found.get("frame")) if is_restored else None

    def _formula(self, text: Node) -> Formula | str:
        if type(text) is not str:
            return "its formula is not a text, or is too long"
        if id(text) not in self._formulas:
            try:
                self._formulas[id(text)] = parse(text)
            except NotAFormula as error:
                why = f"its formula is more than terms of columns: {error}"
                self._formulas[id(text)] = why
        return self._formulas[id(text)]

    def _frame_problem(self, formula: Formula, text: Node, frame: Node) -> str | None:
        """Return why a formula may not be evaluated with a frame, or None.

        A name that is not a column would be looked up in the namespaces of the loading code.
        """
        pair = (id(text), id(frame))
        if pair not in self._pairs:
            columns = self._columns(frame)
            if isinstance(columns, str):
                self._pairs[pair] = columns
            else:
                names = (*formula.response, *formula.inputs)
                other = next((name for name in names if name not in columns), None)
                why = f"its formula uses {other!r}, which is not a column of its data"
                self._pairs[pair] = None if other is None else why
        return self._pairs[pair]

    def _columns(self, frame: Node) -> set[Node] | str:
        if id(frame) not in self._frames:
            self._frames[id(frame)] = _columns(frame)
        return self._frames[id(frame)]


_NAMES = {*_EVALUATED, *_RESTORED, "formula", "frame"}


def _columns(frame: Node) -> set[Node] | str:
    """Return the names of the columns of a frame, or why it is refused."""
    if not isinstance(frame, ObjectNode) or class_key(frame) not in _FRAMES:
        return "the data of its formula was not saved with it"
    if skops_pandas.lacks_contents(frame):
        return skops_pandas.NO_CONTENTS
    found = axes(frame)
    array = view(found[0]) if found else None
    columns = {name for name in (array.values() if array else None) or [] if type(name) is str}
    if taken := sorted(columns & RESERVED):
        return f"its data has a column named {taken[0]!r}, which has a meaning in formulas"
    if other := _foreign(frame):
        return f"its data contains {other.dotted}"
    return columns


def _foreign(frame: ObjectNode) -> Global | None:
    """Return a name in a frame from a package that frames do not need."""
    waiting: list[Node] = [frame]
    seen = set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, Global):
            if node.module.partition(".")[0] not in _FRAME_PACKAGES:
                return node
        elif isinstance(node, COMPOSITE) and id(node) not in seen:
            seen.add(id(node))
            waiting += children(node)
            waiting += [node.cls] if isinstance(node, ObjectNode) else []
    return None
