"""The findings of pickles.

All objects and names of the pickle are judged, whether or not the root reaches them: unpickling
creates them all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from modelpack.types import Finding

from . import callables, formulas, interpreted
from .allowlist import is_known, roles, standing
from .contracts import (
    class_key,
    constructed_class,
    is_constructed,
    lacks_state,
    reads_own_state,
    violation,
)
from .methods import replaced
from .nodes import DictNode, Global, Malformed, Node, ObjectNode, children
from .pickle.machine import Trace
from .pickle.ndarrays import WRAPPERS
from .posing import memory_interfaces, poses_as
from .sharing import Walk
from .verdicts import UNKNOWN

MATRICES = {"numpy:matrix", "numpy.matrixlib.defmatrix:matrix"}
"""The class that numpy has deprecated and that all releases of scikit-learn refuse as input."""

PATHS = {
    f"{module}:{name}"
    for module in ("pathlib", "pathlib._local")
    for name in ("Path", "PosixPath", "PurePosixPath", "PureWindowsPath", "WindowsPath")
}
"""Paths in attributes of honest models. They belong to the machine of the training."""

_HARMLESS = {"__doc__", "__name__"}
"""Special attributes that do not change how Python uses an object."""

_FILE_OPENING = {"lightgbm.basic:Booster", "xgboost.core:Booster"}
"""Classes of valid objects that open a file if they are called with a name."""


def judge(trace: Trace, root: Node, trust: Collection[str]) -> list[Finding]:
    """Return the findings of a pickle, each global once.

    `root` is None if the pickle was not read to its end. Unknown globals in `trust` are accepted.

    Raises:
        Malformed: The values are nested too deeply, or the objects share too many of them.
    """
    walk = Walk()
    nodes = list(walk.below(root))
    walk.finish(trace.objects)  # first, because the checks visit a shared value for each object
    findings = [*names(trace, trust), *_objects(trace)]
    findings += interpreted.check(trace.objects)
    findings += formulas.check(trace.objects)
    findings += callables.check(trace.objects)
    findings += memory_interfaces(nodes)
    return [*findings, *_wrappers(trace), *_references(root, nodes, trace)]


def finding(problem: Malformed) -> Finding:
    """Convert an exception to a finding."""
    return Finding(problem.code, problem.message, problem.offset, problem.opcode, problem.global_)


def names(trace: Trace, trust: Collection[str]) -> Iterator[Finding]:
    """Find the names that no model needs, and those that modelpack does not know."""
    evaluating = []
    for name in trace.globals.values():
        kind = standing(name.key)
        if name.key in MATRICES:
            message = "it contains a numpy.matrix, which multiplies and slices unlike arrays"
            yield _at(name, "numpy-matrix", message)
        elif name.key in PATHS:
            message = f"it contains a path of the file system ({name.dotted})"
            yield _at(name, "path-object", message)
        elif kind == "banned" and name.module.partition(".")[0] == "formulaic":
            evaluating.append(name)
        elif kind == "banned":
            message = f"loading the file would reach {name.dotted}, which no saved model needs"
            yield _at(name, "banned-global", message)
        elif kind == "unknown" and name.key not in trust:
            message = f"loading the file would run {name.dotted}, which modelpack does not know"
            yield _at(name, UNKNOWN, message)
    called = {node.cls.key for node in trace.objects if node.how == "call"} if evaluating else set()
    for name in evaluating:
        if name.key in called and name.name[:1].islower():
            message = f"loading the file would call {name.dotted}, which no saved model needs"
            yield _at(name, "banned-global", message)
    if evaluating:
        message = "it contains a formula of formulaic, which evaluates text as Python code"
        yield _at(evaluating[0], "formulaic", message)


def _wrappers(trace: Trace) -> Iterator[Finding]:
    """Find arrays of two joblibs. One would read the bytes of the other's arrays as opcodes."""
    wrappers = [trace.globals[key] for key in sorted(WRAPPERS & trace.globals.keys())]
    if len(wrappers) > 1:
        yield _at(wrappers[-1], "two-joblibs", "its arrays are those of two different joblibs")


def _objects(trace: Trace) -> Iterator[Finding]:
    seen = set()
    for node in trace.objects:
        problem = _object_problem(node, is_cut=id(node) in trace.unfinished)
        if problem is not None and (problem, node.cls.key) not in seen:
            seen.add((problem, node.cls.key))
            code, why = problem
            message = f"{node.cls.dotted} is used as no saved model uses it: {why}"
            yield Finding(code, message, node.offset, node.opcode, node.cls.key)


def _object_problem(node: ObjectNode, *, is_cut: bool) -> tuple[str, str] | None:
    """Return the code and the reason of a finding. `is_cut`: the file ends before the object."""
    for code, check in _STATES if node.states else _STATES[-1:]:
        if why := check(node):
            return code, why
    if not is_known(node.cls.key):
        return None  # judged by its name
    if node.how not in roles(node.cls.key):
        return "unexpected-role", "it is created" if node.how == "new" else "it is called"
    why = violation(node)
    if why and not (is_cut and lacks_state(node, why)):
        return "bad-arguments", why
    if len(node.states) > 1:  # checks of other objects may rely on the first
        return "bad-state", "its state is set twice"
    why = _bad_items(node)
    return ("bad-items", why) if why else None


def _bad_items(node: ObjectNode) -> str | None:
    key = class_key(node)
    if node.appends and is_known(key) and "append" not in roles(key):
        return "values are appended to it"
    if node.pairs and is_known(key) and "items" not in roles(key):
        return "items are set in it"
    return None


def _bad_state(node: ObjectNode) -> str | None:
    key = class_key(node)
    known = is_known(key)
    is_default = known and is_constructed(node) and not reads_own_state(key)
    for state in node.states:
        if is_default and _has_slots(state):
            return "its state sets attributes outside its dict"
        if is_default and not _is_dict_state(state, key):
            return "its state is not a dict"
        keys = state.keys if isinstance(state, DictNode) else ()
        # Python finds an attribute by any key that equals its name, such as a numpy scalar.
        if known and not all(isinstance(key, str) for key in keys):
            return "its state names an attribute by a value that is not a string"
        if known and len(set(keys)) < len(keys):  # the second value would replace the checked one
            return "its state names an attribute twice"
        if any(isinstance(key, str) and _is_special(key, known=known) for key in keys):
            return "its state sets a special attribute of Python"
    return None


_STATES = (("bad-state", _bad_state), ("replaced-method", replaced), ("posing", poses_as))
"""Checks of the states of an object. The last one also checks its items."""


def _is_special(attribute: str, *, known: bool) -> bool:
    """Return whether an attribute has a meaning for Python, whose names are in lower case.

    Unknown classes, such as those of sklearn_crfsuite, have upper-case names of this form.
    """
    is_own = attribute in _HARMLESS or (attribute.isupper() and not known)
    return attribute.startswith("__") and attribute.endswith("__") and not is_own


def _is_dict_state(state: Node, key: str) -> bool:
    """Return whether a state is a dict, or a tuple that a pandas class reads by position.

    `dict.update` would read pairs, or an object that contains pairs, as names and values.
    """
    by_position = isinstance(state, tuple) and key.startswith("pandas.")
    return state is None or isinstance(state, DictNode) or by_position


def _has_slots(state: Node) -> bool:
    is_pair = isinstance(state, tuple) and len(state) == 2
    return is_pair and any(isinstance(part, DictNode) for part in state)


def _references(root: Node, nodes: Iterable[Node], trace: Trace) -> Iterator[Finding]:
    """Find names that are used as values, and names that are not reachable from the root.

    `nodes` are all composite nodes, from the root down.
    """
    reached = set(trace.used)
    for node in nodes:
        if isinstance(node, ObjectNode):
            yield from _old_role(node)
            reached.update((id(node.cls), id(constructed_class(node))))
        values = _values(node)
        for value in values if Global in set(map(type, values)) else ():
            if isinstance(value, Global):
                reached.add(id(value))
                yield from _reference(value)
    if isinstance(root, Global) and not root.is_module and standing(root.key) != "banned":
        reached.add(id(root))  # saved by mistake
    if root is not None:
        for name in trace.resolved:
            if id(name) not in reached:
                yield _at(name, "dropped-global", f"{name.dotted} is looked up and dropped")


def _values(node: Node) -> list[Node]:
    is_old = isinstance(node, ObjectNode) and constructed_class(node) is not node.cls
    return children(node)[1:] if is_old else children(node)


def _reference(name: Global) -> Iterator[Finding]:
    is_never_value = is_known(name.key) and "ref" not in roles(name.key)
    if is_never_value or name.is_module or name.key in _FILE_OPENING:
        message = f"{name.dotted} is used as no saved model uses it: it is a value"
        yield _at(name, "unexpected-role", message)


def _old_role(node: ObjectNode) -> Iterator[Finding]:
    """Check the role of a class whose object protocol 0 or 1 creates."""
    cls = constructed_class(node)
    is_old = cls is not node.cls and isinstance(cls, Global)
    if is_old and is_known(cls.key) and "new" not in roles(cls.key):
        message = f"{cls.dotted} is used as no saved model uses it: it is created"
        yield _at(cls, "unexpected-role", message)


def _at(name: Global, code: str, message: str) -> Finding:
    return Finding(code, message, name.offset, name.opcode, name.key)
