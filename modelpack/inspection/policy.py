"""The safety verdict, and whether a model may be packaged.

All objects and names of the pickle are judged, whether or not the root reaches them: unpickling
creates them all.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import PurePath

from modelpack.errors import ModelNotSupportedError, ModelRefusedError
from modelpack.types import Code, Finding, ModelFile, ModelSpec, Safety, Verdict

from . import callables, formulas, interpreted
from .allowlist import is_known, roles, standing
from .contracts import class_key, constructed_class, is_constructed, reads_own_state, violation
from .methods import replaced, reserved_by_import
from .nodes import DictNode, Global, Malformed, Node, ObjectNode, children
from .pickle.machine import Trace
from .pickle.ndarrays import WRAPPERS
from .posing import memory_interfaces, poses_as
from .sharing import Walk

UNKNOWN = "unknown-global"
NOTES = {
    "not-a-model", "not-fitted", "no-prediction", "repeated-name", "several-models", "misfit",
    "file-order",
}  # fmt: skip
"""Codes of findings that describe the file. They do not change the verdict."""

MATRICES = {"numpy:matrix", "numpy.matrixlib.defmatrix:matrix"}
"""The class that numpy has deprecated and that all releases of scikit-learn refuse as input."""

_HARMLESS = {"__doc__", "__name__"}
"""Special attributes that do not change how Python uses an object."""

_FILE_OPENING = {"lightgbm.basic:Booster", "xgboost.core:Booster"}
"""Classes of valid objects that open a file if they are called with a name."""


def judge(trace: Trace, root: Node, trust: Collection[str]) -> list[Finding]:
    """Return the findings of a pickle, each global once.

    Args:
        trace: The names and objects of the pickle.
        root: Its value, or None if it was not read to its end.
        trust: Unknown globals that are accepted.

    Raises:
        Malformed: The values are nested too deeply, or the objects share too many of them.
    """
    walk = Walk()
    nodes = list(walk.below(root))
    walk.finish(trace.objects)  # first, because the checks visit a shared value for each object
    findings = [*names(trace, trust), *_objects(trace.objects)]
    findings += interpreted.check(trace.objects)
    findings += formulas.check(trace.objects)
    findings += callables.check(trace.objects)
    findings += memory_interfaces(nodes)
    return [*findings, *_wrappers(trace), *_references(root, nodes, trace)]


def verdict(findings: Iterable[Finding]) -> Verdict:
    """Return the verdict that follows from the codes of the findings."""
    codes = {finding.code for finding in findings} - NOTES
    if not codes:
        return "pass"
    return "trust" if codes == {UNKNOWN} else "refuse"


def finding(problem: Malformed) -> Finding:
    """Convert an exception to a finding."""
    return Finding(problem.code, problem.message, problem.offset, problem.opcode, problem.global_)


def names(trace: Trace, trust: Collection[str]) -> Iterator[Finding]:
    """Find the names that no model needs, and those that modelpack does not know."""
    for name in trace.globals.values():
        kind = standing(name.key)
        if name.key in MATRICES:
            message = "it contains a numpy.matrix, which multiplies and slices unlike arrays"
            yield _at(name, "numpy-matrix", message)
        elif kind == "banned":
            message = f"loading the file would reach {name.dotted}, which no saved model needs"
            yield _at(name, "banned-global", message)
        elif kind == "unknown" and name.key not in trust:
            message = f"loading the file would run {name.dotted}, which modelpack does not know"
            yield _at(name, UNKNOWN, message)


def _wrappers(trace: Trace) -> Iterator[Finding]:
    """Find arrays of two joblibs. One would read the bytes of the other's arrays as opcodes."""
    wrappers = [trace.globals[key] for key in sorted(WRAPPERS & trace.globals.keys())]
    if len(wrappers) > 1:
        yield _at(wrappers[-1], "two-joblibs", "its arrays are those of two different joblibs")


def _objects(objects: Iterable[ObjectNode]) -> Iterator[Finding]:
    seen = set()
    for node in objects:
        problem = _object_problem(node)
        if problem is not None and (problem, node.cls.key) not in seen:
            seen.add((problem, node.cls.key))
            code, why = problem
            message = f"{node.cls.dotted} is used as no saved model uses it: {why}"
            yield Finding(code, message, node.offset, node.opcode, node.cls.key)


def _object_problem(node: ObjectNode) -> tuple[str, str] | None:
    for code, check in _STATES if node.states else _STATES[-1:]:
        if why := check(node):
            return code, why
    if not is_known(node.cls.key):
        return None  # judged by its name
    if node.how not in roles(node.cls.key):
        return "unexpected-role", "it is created" if node.how == "new" else "it is called"
    if why := violation(node):
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

    Args:
        root: The root of the pickle, or None.
        nodes: All composite nodes, from the root down.
        trace: The names and objects of the pickle.
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


NATIVE = {"lightgbm", "xgboost", "catboost", "onnx"}
"""Formats of files that contain one model, which transformers in other files may precede."""

_MAX_NAMED = 3
_MAX_OPTIONS = 20
_HINTS = {
    "unsupported-format": "Save the fitted estimator with joblib.dump(model, 'model.joblib').",
    "external-data": "Save one file: onnx.save(model, 'model.onnx', save_as_external_data=False).",
    "not-a-model": "Save the fitted estimator or pipeline itself, with "
    "joblib.dump(model, 'model.joblib').",
    "not-fitted": "Call fit before joblib.dump.",
    "no-prediction": "Save an estimator that has predict or transform.",
    "repeated-name": "Rename one of the columns, and train the model again.",
    "misfit": "Give the files of one model, in the order in which rows pass through them.",
    "empty-file": "Save or copy the model again.",
    "truncated": "Save or copy the model again: its size differs from that of the original.",
    "byte-code": "Move the functions and classes to a file, import them from there, save the model "
    "again, and name the file: --code FILE.py (cloudpickle saves lambdas, and modules of "
    "register_pickle_by_value, as byte code).",
    "unserved-model": "Package a model that predicts from the values of one row.",
    "numpy-matrix": "Convert it with numpy.asarray before training, and save the model again.",
    "formula": "Compute the other terms before training, as columns of the data. docs/security.md "
    "lists the supported terms.",
    "lz4-missing": "Run: pip install 'modelpack[lz4]'",
    "trailing-data": "Save all parts of the model in one call, as one tuple or dict.",
}
_UNSUPPORTED = {"lz4-missing", "unserved-model", "unsupported-format"}
_HARMFUL = {
    "bad-arguments", "bad-callable", "bad-items", "bad-member", "bad-name", "bad-state", "bad-text",
    "banned-global", "broken-array", "broken-invariant", "computed-call", "decompression-bomb",
    "dropped-global", "dropped-value", "replaced-method", "state-of-non-object", "two-joblibs",
    "unexpected-class", "unexpected-role",
}  # fmt: skip
"""Codes of files that only an attack writes. The others mean damaged, too large, or unsupported."""

_UNREADABLE = {
    "broken-frame", "changed", "empty-file", "external-data", "lz4-missing", "malformed",
    "too-large", "truncated",
}  # fmt: skip
_EXPLAINED = {"byte-code", "formula", "numpy-matrix"}
"""Codes of honest models that never pass. Other findings of these files are consequences."""

_DANGEROUS = "Look at `modelpack inspect` for all findings; do not load this file."
_DAMAGED = "Look at `modelpack inspect` for all findings, and save or copy the model again."


def is_unreadable(findings: Iterable[Finding]) -> bool:
    """Return whether the findings say only that a file is damaged, incomplete or too large."""
    return {finding.code for finding in findings} <= _UNREADABLE


def is_unsupported(findings: Iterable[Finding]) -> bool:
    """Return whether the only finding is that modelpack does not read the format."""
    return {finding.code for finding in findings} == {"unsupported-format"}


def with_trusted(spec: ModelSpec, code: Code) -> ModelSpec:
    """Return the spec that `inspect` returns if it trusts all names that `code` defines.

    The file is not read again, because trust changes no other finding. The result also has the
    findings that only the code of the author's classes reveals.
    """
    kept = [f for f in spec.safety.findings if f.code != UNKNOWN or f.global_ not in code.defined]
    kept += _replaced(code)
    return replace(spec, safety=Safety(verdict(kept), tuple(kept)))


def _replaced(code: Code) -> Iterator[Finding]:
    """Find the states that replace a method of a class whose code was found."""
    for each in code.classes:
        inherited = frozenset[str]().union(*map(reserved_by_import, each.bases))
        for name in sorted({*each.replaced, *inherited.intersection(each.unset)}):
            message = f"{each.name.replace(':', '.')} has a state that replaces its method {name}"
            yield Finding("replaced-method", message, global_=each.name)


def require_servable(spec: ModelSpec) -> None:
    """Raise an error unless the model may be loaded in the image.

    Raises:
        ModelNotSupportedError: The file is not a model, or modelpack does not read its format.
        ModelRefusedError: The file is malformed or hostile, or names code that is not trusted.
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
    """Raise an error unless the values of all categorical columns are known.

    Raises:
        ModelNotSupportedError: The file contains the codes of a column, but not their values.
    """
    unknown = [f.name for f in spec.signature.inputs
               if f.dtype == "category" and f.categories is None]  # fmt: skip
    if unknown:
        more = f" and {len(unknown) - _MAX_NAMED} more" if len(unknown) > _MAX_NAMED else ""
        raise ModelNotSupportedError(
            f"{_name(spec)} cannot be served: it was trained on categorical columns "
            f"({', '.join(unknown[:_MAX_NAMED])}{more}), and the file does not contain their "
            "values. XGBoost 3.1 and later save them if they are ASCII.",
            hint="Call modelpack.record(model, X, path) with X as in training: the record contains "
            "the categories.",
        )


def _not_supported(spec: ModelSpec, finding: Finding) -> ModelNotSupportedError:
    message = f"{_name(spec)} cannot be served: {finding.message}."
    hint = _HINTS.get(finding.code, "")
    if finding.code == "several-models":
        hint = _select_hint(spec)
    if finding.code == "file-order":
        hint = f"Give the files in this order: {' '.join(_native_last(spec.files))}"
    natives = [name for name, file in _named(spec.files) if file.format in NATIVE]
    if finding.code == "misfit" and len(natives) > 1:
        hint = f"Give each of these models alone, such as: modelpack package {natives[0]}"
    return ModelNotSupportedError(message, hint=hint)


def _select_hint(spec: ModelSpec) -> str:
    if spec.more_files:
        return "Give files with one estimator each, or one file and --select."
    names = spec.suggestion or spec.choices[:1]
    options = " ".join(f"--select {shlex.quote(ascii(name)[1:-1])}" for name in names)
    if len(names) > 1:
        return f"Select all estimators of the pipeline in order, such as: {options}"
    return (
        f"Choose one with --select, such as {options}. Several --select in the order of the rows "
        "create a pipeline."
    )


def _native_last(files: Iterable[ModelFile]) -> list[str]:
    return [name for name, _ in sorted(_named(files), key=lambda pair: pair[1].format in NATIVE)]


def _named(files: Iterable[ModelFile]) -> list[tuple[str, ModelFile]]:
    """Return the files with their paths as a shell takes them."""
    return [(shlex.quote(ascii(file.path)[1:-1]), file) for file in files]


def _refused(spec: ModelSpec, findings: list[Finding]) -> ModelRefusedError:
    clauses = [f"{f.message}{_where(f)}" for f in findings[:_MAX_NAMED]]
    more = len(findings) - len(clauses)
    text = "; ".join(clauses) + (f"; and {more} more" if more else "")
    is_harmful = any(f.code in _HARMFUL for f in findings) and findings[0].code not in _EXPLAINED
    return ModelRefusedError(
        f"{_name(spec)} is refused and was not executed: {text}.",
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
        f"know ({listed}{more}). It was not executed."
        + (f" It could not be served even if trusted: {notes}." if notes else ""),
        hint=f"If you trust the author of this code, add: {options}",
    )


def _where(finding: Finding) -> str:
    return "" if finding.offset is None else f" (at byte {finding.offset:,})"


def _name(spec: ModelSpec) -> str:
    return ascii(PurePath(spec.file.path).name).strip("'\"")
