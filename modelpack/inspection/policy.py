"""The safety verdict, and whether a model may be packaged.

Every object and every name that the machine met is judged, whether the root reaches it or not:
unpickling makes them all.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import PurePath

from modelpack.errors import ModelNotSupportedError, ModelRefusedError
from modelpack.types import Code, Finding, ModelSpec, Safety, Verdict

from . import callables, formulas, interpreted
from .allowlist import is_known, roles, standing
from .contracts import class_key, constructed_class, is_constructed, reads_own_state, violation
from .methods import of_base, replaced
from .nodes import DictNode, Global, Malformed, Node, ObjectNode, children
from .pickle.machine import Trace
from .pickle.ndarrays import WRAPPERS
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


def _objects(objects: Iterable[ObjectNode]) -> Iterator[Finding]:
    seen = set()
    for made in objects:
        problem = _object_problem(made)
        if problem is not None and (problem, made.cls.key) not in seen:
            seen.add((problem, made.cls.key))
            code, why = problem
            message = f"{made.cls.dotted} is used as no saved model uses it: {why}"
            yield Finding(code, message, made.offset, made.opcode, made.cls.key)


def _object_problem(made: ObjectNode) -> tuple[str, str] | None:
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


def _bad_items(made: ObjectNode) -> str | None:
    key = class_key(made)
    if made.appends and is_known(key) and "append" not in roles(key):
        return "values are appended to it"
    if made.pairs and is_known(key) and "items" not in roles(key):
        return "items are set in it"
    return None


def _bad_state(made: ObjectNode) -> str | None:
    key = class_key(made)
    known = is_known(key)
    for state in made.states:
        if known and is_constructed(made) and _has_slots(state) and not reads_own_state(key):
            return "its state sets attributes past its dict"
        if (
            known
            and is_constructed(made)
            and not reads_own_state(key)
            and not _is_of_dict(state, key)
        ):
            return "its state is no dict"
        keys = state.keys if isinstance(state, DictNode) else ()
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
    return state is None or isinstance(state, DictNode) or by_position


def _has_slots(state: Node) -> bool:
    is_pair = isinstance(state, tuple) and len(state) == 2
    return is_pair and any(isinstance(part, DictNode) for part in state)


def _references(root: Node, nodes: Iterable[Node], trace: Trace) -> Iterator[Finding]:
    """Find names that are mere values, and names that nothing reaches from the root.

    Args:
        root: The root of the pickle, or None.
        nodes: The root, if it holds values, and all nodes below it that do.
        trace: All that was met.
    """
    reached = set(trace.used)
    for node in nodes:
        if isinstance(node, ObjectNode):
            yield from _made_by_old_pickler(node)
            reached.update((id(node.cls), id(constructed_class(node))))
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
    is_old = isinstance(node, ObjectNode) and constructed_class(node) is not node.cls
    return children(node)[1:] if is_old else children(node)


def _reference(name: Global) -> Iterator[Finding]:
    is_no_value = is_known(name.key) and "ref" not in roles(name.key)
    if is_no_value or name.is_module or name.key in _OPEN_FILES:
        message = f"{name.dotted} is used as no saved model uses it: it is a value"
        yield _at(name, "unexpected-role", message)


def _made_by_old_pickler(node: ObjectNode) -> Iterator[Finding]:
    cls = constructed_class(node)
    is_old = cls is not node.cls and isinstance(cls, Global)
    if is_old and is_known(cls.key) and "new" not in roles(cls.key):
        message = f"{cls.dotted} is used as no saved model uses it: it is made"
        yield _at(cls, "unexpected-role", message)


def _at(name: Global, code: str, message: str) -> Finding:
    return Finding(code, message, name.offset, name.opcode, name.key)


_MAX_NAMED = 3
_MAX_OPTIONS = 20
_HINTS = {
    "unsupported-format": "Save the fitted estimator with joblib.dump(model, 'model.joblib').",
    "external-data": "onnx.save(model, 'model.onnx', save_as_external_data=False) makes one file.",
    "not-a-model": "Save the fitted estimator or pipeline itself, with "
    "joblib.dump(model, 'model.joblib').",
    "not-fitted": "Call fit before joblib.dump.",
    "no-prediction": "Save an estimator that has predict or transform.",
    "repeated-name": "Rename one of the columns, and train the model again.",
    "misfit": "Give the files of one model, in the order in which its rows pass through them.",
    "empty-file": "Save or copy the model again.",
    "truncated": "Save or copy the model again: the size differs from that of the original.",
    "byte-code": "Move the functions and classes into a file of your own, import them from there, "
    "save the model again, and name the file: --code FILE.py (lambdas, and what "
    "cloudpickle.register_pickle_by_value covers, are saved as byte code).",
    "unserved-model": "Package a model that predicts from the values of one row.",
    "numpy-matrix": "Convert it with numpy.asarray before training, and save the model again.",
    "formula": "Compute what the formula cannot have before training, as columns of the data: "
    "docs/security.md lists the terms that formulas may have.",
    "lz4-missing": "pip install 'modelpack[lz4]'",
    "trailing-data": "Save all that the model consists of in one call, as one tuple or dict.",
}
_UNSUPPORTED = {"lz4-missing", "unserved-model", "unsupported-format"}
_HARMFUL = {
    "bad-arguments", "bad-callable", "bad-items", "bad-member", "bad-name", "bad-state", "bad-text",
    "banned-global", "broken-array", "broken-invariant", "computed-call", "decompression-bomb",
    "dropped-global", "dropped-value", "replaced-method", "state-of-non-object", "two-joblibs",
    "unexpected-class", "unexpected-role",
}  # fmt: skip
"""Codes of what no library writes and an attack does. The others are those of files that are
damaged, too large, or of another kind.
"""

_UNREADABLE = {
    "broken-frame", "changed", "empty-file", "external-data", "lz4-missing", "malformed",
    "too-large", "truncated",
}  # fmt: skip
_EXPLAINED = {"byte-code", "formula", "numpy-matrix"}
"""Codes of what models hold though no file with it passes: what else is found follows from that."""

_DANGEROUS = "Look at `modelpack inspect` for all findings; do not load this file."
_DAMAGED = "Look at `modelpack inspect` for all findings, and save or copy the model again."


def is_unreadable(findings: Iterable[Finding]) -> bool:
    """Return whether a file is damaged, missing a part or too large, and nothing else is known."""
    return {finding.code for finding in findings} <= _UNREADABLE


def is_unsupported(findings: Iterable[Finding]) -> bool:
    """Return whether modelpack does not read the format of a file, and knows nothing else of it."""
    return {finding.code for finding in findings} == {"unsupported-format"}


def with_trusted(spec: ModelSpec, code: Code) -> ModelSpec:
    """The spec that inspecting with `trust` for all that `code` defines would give, without reading
    the file again: whether a name is known changes nothing else that is found. It also has the
    findings that only the code of the author's classes shows.
    """
    kept = [f for f in spec.safety.findings if f.code != UNKNOWN or f.global_ not in code.defined]
    kept += _replaced(code)
    return replace(spec, safety=Safety(verdict(kept), tuple(kept)))


def _replaced(code: Code) -> Iterator[Finding]:
    """Find the states that replace a method of a class whose code was found."""
    for each in code.classes:
        inherited = frozenset[str]().union(*map(of_base, each.bases))
        for name in sorted({*each.replaced, *inherited.intersection(each.unset)}):
            message = f"{each.name.replace(':', '.')} has a state that replaces its method {name}"
            yield Finding("replaced-method", message, global_=each.name)


def require_servable(spec: ModelSpec) -> None:
    """Return if the file holds a model that may be loaded in the image.

    Raises:
        ModelNotSupportedError: it is no model, or of a format that modelpack does not read.
        ModelRefusedError: it is malformed or hostile, or names code that has to be trusted first.
    """
    findings = spec.safety.findings
    unsupported = [f for f in findings if f.code in _UNSUPPORTED]
    if unsupported:
        raise _not_supported(spec, unsupported[0])
    if spec.safety.verdict == "refuse":
        raise _refused(spec, [f for f in findings if f.code not in {*NOTES, UNKNOWN}])
    if spec.safety.verdict == "trust":
        raise _untrusted(spec, [f for f in findings if f.code == UNKNOWN])
    for finding in findings:
        raise _not_supported(spec, finding)


def require_categories(spec: ModelSpec) -> None:
    """Return if the values of all columns of categories are known, from the file or from rows.

    Raises:
        ModelNotSupportedError: The model knows a column by the codes of its categories, and nothing
            says which value has which code.
    """
    unknown = [f.name for f in spec.signature.inputs
               if f.dtype == "category" and f.categories is None]  # fmt: skip
    if unknown:
        more = f" and {len(unknown) - _MAX_NAMED} more" if len(unknown) > _MAX_NAMED else ""
        raise ModelNotSupportedError(
            f"{_name(spec)} cannot be served: it was trained on columns of categories "
            f"({', '.join(unknown[:_MAX_NAMED])}{more}), and the file does not contain their "
            "values. XGBoost saves them since 3.1, but not those with letters beyond ASCII.",
            hint="Call modelpack.record(model, X, path) after saving the model, with X as in "
            "training: the record contains the categories.",
        )


def _not_supported(spec: ModelSpec, finding: Finding) -> ModelNotSupportedError:
    message = f"{_name(spec)} cannot be served: {finding.message}."
    hint = _choosing(spec) if finding.code == "several-models" else _HINTS[finding.code]
    return ModelNotSupportedError(message, hint=hint)


def _choosing(spec: ModelSpec) -> str:
    if spec.more_files:
        return "Give files that hold one estimator each, or one file and --select."
    names = spec.suggestion or spec.choices[:1]
    options = " ".join(f"--select {shlex.quote(ascii(name)[1:-1])}" for name in names)
    if len(names) > 1:
        return f"Select all that rows pass through, in order, such as: {options}"
    return (
        f"Choose one with --select, such as {options}. Several of them, in the order in "
        "which rows pass through them, make a pipeline."
    )


def _refused(spec: ModelSpec, findings: list[Finding]) -> ModelRefusedError:
    told = [f"{f.message}{_where(f)}" for f in findings[:_MAX_NAMED]]
    more = len(findings) - len(told)
    text = "; ".join(told) + (f"; and {more} more" if more else "")
    is_harmful = any(f.code in _HARMFUL for f in findings) and findings[0].code not in _EXPLAINED
    return ModelRefusedError(
        f"{_name(spec)} is refused, and nothing of it was executed: {text}.",
        hint=_DANGEROUS if is_harmful else _HINTS.get(findings[0].code, _DAMAGED),
    )


def _untrusted(spec: ModelSpec, findings: list[Finding]) -> ModelRefusedError:
    names = sorted({f.global_ for f in findings if f.global_})
    listed = ", ".join(name.replace(":", ".") for name in names[:_MAX_NAMED])
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    options = " ".join(f"--trust {name}" for name in names[:_MAX_OPTIONS])
    if len(names) > _MAX_OPTIONS:
        options += f" (and {len(names) - _MAX_OPTIONS} more: see modelpack inspect --json)"
    notes = "; ".join(f.message for f in spec.safety.findings if f.code in NOTES)
    return ModelRefusedError(
        f"{_name(spec)} is not trusted yet: loading it would run code that modelpack does not "
        f"know ({listed}{more}). Nothing of it was executed."
        + (f" Once trusted, it could still not be served: {notes}." if notes else ""),
        hint=f"If you trust whoever wrote this code, add: {options}",
    )


def _where(finding: Finding) -> str:
    return "" if finding.offset is None else f" (at byte {finding.offset:,})"


def _name(spec: ModelSpec) -> str:
    return ascii(PurePath(spec.file.path).name).strip("'\"")
