"""Formulas in the states of objects, which statsmodels has patsy or formulaic evaluate.

statsmodels keeps the text of a formula and the frame of its training. It evaluates the text when
the data of a model is loaded, in the namespaces of the code that loads it. It evaluates the result
again with each request, and does not save it. See statsmodels/base/data.py, `__setstate__`, and
statsmodels/base/model.py, `_transform_predict_exog`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from modelpack.types import Finding

from ..allowlist import contract_name
from ..contracts import class_key
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
_OF_FRAMES = {
    "__builtin__", "_codecs", "builtins", "collections", "copy_reg", "copyreg", "datetime",
    "decimal", "joblib", "numpy", "pandas", "pyarrow", "pytz",
}  # fmt: skip
"""Packages whose objects a frame may hold: numpy calls methods of other objects, by names such as
`log`.
"""


def check(objects: Iterable[ObjectNode]) -> Iterator[Finding]:
    """Find the formulas that are more than terms of columns, once for each class."""
    checks = _Checks()
    reported = set()
    for made in objects:
        key = class_key(made)
        for state in made.states:
            for part in state if isinstance(state, tuple) else (state,):
                why = checks.problem(key, part) if isinstance(part, DictNode) else None
                if why and (key, why) not in reported:
                    reported.add((key, why))
                    message = f"{key.replace(':', '.')} cannot be loaded or served: {why}"
                    yield Finding(CODE, message, made.offset, made.opcode, key or None)


class _Checks:
    """Checks of states. Texts and frames that objects share are read once."""

    def __init__(self) -> None:
        self._formulas: dict[int, Formula | str] = {}
        self._frames: dict[int, set[Node] | str] = {}
        self._pairs: dict[tuple[int, int], str | None] = {}

    def problem(self, key: str, state: DictNode) -> str | None:
        """Return what is wrong with a formula in a state of a class, if anything."""
        pairs = zip(state.keys, state.values, strict=True)
        found = {name: value for name, value in pairs if type(name) is str and name in _NAMES}
        for name in sorted(_EVALUATED & found.keys()):
            if found[name] is not None:
                return f"its {name} would be evaluated as a formula"
        is_restored = bool(_RESTORED & found.keys())
        if is_restored and contract_name(key) != "formula":
            return "it evaluates a formula as only data of statsmodels does"
        text = found.get("formula")
        if not is_restored and (text is None or not key.startswith("statsmodels.")):
            return None
        formula = self._formula(text)
        if isinstance(formula, str):
            return formula
        return self._unsuited(formula, text, found.get("frame")) if is_restored else None

    def _formula(self, text: Node) -> Formula | str:
        if type(text) is not str:
            return "its formula is not a text of usual length"
        if id(text) not in self._formulas:
            try:
                self._formulas[id(text)] = parse(text)
            except NotAFormula as error:
                why = f"its formula is more than terms of columns: {error}"
                self._formulas[id(text)] = why
        return self._formulas[id(text)]

    def _unsuited(self, formula: Formula, text: Node, frame: Node) -> str | None:
        """Return why a formula may not be evaluated with a frame. A name that is no column would
        mean whatever has this name where the model is loaded.
        """
        pair = (id(text), id(frame))
        if pair not in self._pairs:
            columns = self._columns(frame)
            if isinstance(columns, str):
                self._pairs[pair] = columns
            else:
                names = (*formula.response, *formula.inputs)
                other = next((name for name in names if name not in columns), None)
                why = f"its formula uses {other!a}, which is no column of its data"
                self._pairs[pair] = None if other is None else why
        return self._pairs[pair]

    def _columns(self, frame: Node) -> set[Node] | str:
        if id(frame) not in self._frames:
            self._frames[id(frame)] = _columns(frame)
        return self._frames[id(frame)]


_NAMES = {*_EVALUATED, *_RESTORED, "formula", "frame"}


def _columns(frame: Node) -> set[Node] | str:
    """Return the names of the columns of a frame, or what is wrong with it."""
    if not isinstance(frame, ObjectNode) or class_key(frame) not in _FRAMES:
        return "the data of its formula was not saved with it"
    found = axes(frame)
    array = view(found[0]) if found else None
    columns = {name for name in (array.values() if array else None) or [] if type(name) is str}
    if taken := sorted(columns & RESERVED):
        return f"its data has a column named {taken[0]!a}, which has a meaning in formulas"
    if other := _foreign(frame):
        return f"its data holds {other.dotted}"
    return columns


def _foreign(frame: ObjectNode) -> Global | None:
    """Return a name in a frame that is of another package than frames need."""
    waiting: list[Node] = [frame]
    seen = set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, Global):
            if node.module.partition(".")[0] not in _OF_FRAMES:
                return node
        elif isinstance(node, COMPOSITE) and id(node) not in seen:
            seen.add(id(node))
            waiting += children(node)
            waiting += [node.cls] if isinstance(node, ObjectNode) else []
    return None
