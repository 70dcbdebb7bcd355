"""The verdict: each name that the file holds, in each position, against what is known of it.

Every object and every name that the machine met is judged, whether the root reaches it or not:
unpickling makes them all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from modelpack.types import Finding, Verdict

from . import callables, formulas, interpreted
from .allowlist import is_known, roles, standing
from .contracts import class_key, is_made, made_class, reads_own_state, violation
from .machine import Trace
from .methods import replaced
from .nodes import Dct, Global, Malformed, Node, Obj, children
from .payloads import WRAPPERS
from .posing import interfaces, posing
from .sharing import Walk

UNKNOWN = "unknown-global"
NOTES = {
    "not-a-model", "not-fitted", "no-prediction", "repeated-name", "several-models", "misfit",
}  # fmt: skip
"""Codes of findings that tell what the file is; the verdict does not depend on them."""

MATRICES = {"numpy:matrix", "numpy.matrixlib.defmatrix:matrix"}
"""The class that numpy has deprecated and scikit-learn refuses as input, in any release."""

_WORDS = {"__doc__", "__name__"}
"""What Python calls a thing, and nothing that it does with it."""

_OPEN_FILES = {"lightgbm.basic:Booster", "xgboost.core:Booster"}
"""Classes that models hold objects of, and that open a file when they are called with its name."""


def judge(trace: Trace, root: Node, trust: Collection[str]) -> list[Finding]:
    """What speaks against loading the file, each global once. `root` is None if there is none.

    Raises:
        Malformed: The values are nested too deeply, or the objects share too many of them.
    """
    walk = Walk()
    nodes = list(walk.below(root))
    walk.finish(trace.objects)  # before the checks, which visit a shared value for each object
    findings = [*names(trace, trust), *_objects(trace.objects)]
    findings += interpreted.check(trace.objects)
    findings += formulas.check(trace.objects)
    findings += callables.check(trace.objects)
    findings += interfaces(nodes)
    return [*findings, *_wrappers(trace), *_references(root, nodes, trace)]


def verdict(findings: Iterable[Finding]) -> Verdict:
    codes = {finding.code for finding in findings} - NOTES
    if not codes:
        return "pass"
    return "trust" if codes == {UNKNOWN} else "refuse"


def finding(problem: Malformed) -> Finding:
    return Finding(problem.code, problem.message, problem.offset, problem.opcode, problem.global_)


def names(trace: Trace, trust: Collection[str]) -> Iterator[Finding]:
    """Find the names that no model needs, and those that modelpack does not know."""
    for name in trace.globals.values():
        kind = standing(name.key)
        if name.key in MATRICES:
            message = (
                "it holds a numpy.matrix, which multiplies and slices otherwise than arrays do"
            )
            yield _at(name, "numpy-matrix", message)
        elif kind == "banned":
            message = f"loading the file would reach {name.dotted}, which no saved model needs"
            yield _at(name, "banned-global", message)
        elif kind == "unknown" and name.key not in trust:
            message = f"loading the file would run {name.dotted}, which modelpack does not know"
            yield _at(name, UNKNOWN, message)


def _wrappers(trace: Trace) -> Iterator[Finding]:
    """One joblib reads the file. It would take the bytes behind another's wrappers for opcodes."""
    found = [trace.globals[key] for key in sorted(WRAPPERS & trace.globals.keys())]
    if len(found) > 1:
        yield _at(found[-1], "two-joblibs", "its arrays are those of two different joblibs")


def _objects(objects: Iterable[Obj]) -> Iterator[Finding]:
    seen = set()
    for made in objects:
        problem = _object_problem(made)
        if problem is not None and (problem, made.cls.key) not in seen:
            seen.add((problem, made.cls.key))
            code, why = problem
            message = f"{made.cls.dotted} is used as no saved model uses it: {why}"
            yield Finding(code, message, made.offset, made.opcode, made.cls.key)


def _object_problem(made: Obj) -> tuple[str, str] | None:
    for code, check in _STATES if made.states else _STATES[-1:]:
        if why := check(made):
            return code, why
    if not is_known(made.cls.key):
        return None  # judged by its name
    if made.how not in roles(made.cls.key):
        return "unexpected-role", "it is made" if made.how == "new" else "it is called"
    if why := violation(made):
        return "bad-arguments", why
    if len(made.states) > 1:  # others may have taken the first for granted
        return "bad-state", "it is given a second state"
    why = _bad_items(made)
    return ("bad-items", why) if why else None


def _bad_items(made: Obj) -> str | None:
    key = class_key(made)
    if made.appends and is_known(key) and "append" not in roles(key):
        return "values are appended to it"
    if made.pairs and is_known(key) and "items" not in roles(key):
        return "items are set in it"
    return None


def _bad_state(made: Obj) -> str | None:
    key = class_key(made)
    known = is_known(key)
    for state in made.states:
        if known and is_made(made) and _has_slots(state) and not reads_own_state(key):
            return "its state sets attributes past its dict"
        if known and is_made(made) and not reads_own_state(key) and not _is_of_dict(state, key):
            return "its state is no dict"
        keys = state.keys if isinstance(state, Dct) else ()
        # What equals a string, such as a numpy scalar, is found as an attribute of that name.
        if known and not all(isinstance(key, str) for key in keys):
            return "its state names an attribute otherwise than by a string"
        if known and len(set(keys)) < len(keys):  # one set later would hide what loading sets
            return "its state names an attribute twice"
        if any(isinstance(key, str) and _is_special(key, known=known) for key in keys):
            return "its state sets an attribute of Python itself"
    return None


_STATES = (("bad-state", _bad_state), ("replaced-method", replaced), ("posing", posing))
"""Checks of the states of an object; the last also of its items."""


def _is_special(attribute: str, *, known: bool) -> bool:
    """Whether Python gives an attribute a meaning: its own names are in small letters. Classes that
    modelpack does not know use names in capitals for themselves, such as sklearn_crfsuite.
    """
    is_own = attribute in _WORDS or (attribute.isupper() and not known)
    return attribute.startswith("__") and attribute.endswith("__") and not is_own


def _is_of_dict(state: Node, key: str) -> bool:
    """Whether a state is a dict, or a tuple that a class of pandas reads by position. Others would
    take pairs, or an object that holds them, for the names and values of attributes.
    """
    by_position = isinstance(state, tuple) and key.startswith("pandas.")
    return state is None or isinstance(state, Dct) or by_position


def _has_slots(state: Node) -> bool:
    is_pair = isinstance(state, tuple) and len(state) == 2
    return is_pair and any(isinstance(part, Dct) for part in state)


def _references(root: Node, nodes: Iterable[Node], trace: Trace) -> Iterator[Finding]:
    """Find names that are mere values, and names that nothing reaches from the root.

    Args:
        root: The root of the pickle, or None.
        nodes: The root, if it holds values, and all nodes below it that do.
        trace: All that was met.
    """
    reached = set(trace.used)
    for node in nodes:
        if isinstance(node, Obj):
            yield from _made_by_old_pickler(node)
            reached.update((id(node.cls), id(made_class(node))))
        values = _values(node)
        for value in values if Global in set(map(type, values)) else ():
            if isinstance(value, Global):
                reached.add(id(value))
                yield from _reference(value)
    if root is not None:
        for name in trace.resolved:
            if id(name) not in reached:
                yield _at(name, "dropped-global", f"{name.dotted} is looked up and dropped")


def _values(node: Node) -> list[Node]:
    is_old = isinstance(node, Obj) and made_class(node) is not node.cls
    return children(node)[1:] if is_old else children(node)


def _reference(name: Global) -> Iterator[Finding]:
    is_no_value = is_known(name.key) and "ref" not in roles(name.key)
    if is_no_value or name.is_module or name.key in _OPEN_FILES:
        message = f"{name.dotted} is used as no saved model uses it: it is a value"
        yield _at(name, "unexpected-role", message)


def _made_by_old_pickler(node: Obj) -> Iterator[Finding]:
    cls = made_class(node)
    is_old = cls is not node.cls and isinstance(cls, Global)
    if is_old and is_known(cls.key) and "new" not in roles(cls.key):
        message = f"{cls.dotted} is used as no saved model uses it: it is made"
        yield _at(cls, "unexpected-role", message)


def _at(name: Global, code: str, message: str) -> Finding:
    return Finding(code, message, name.offset, name.opcode, name.key)
