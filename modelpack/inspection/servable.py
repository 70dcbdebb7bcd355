"""May the model of a spec be packaged? If not, the error that says why and what to do."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import PurePath

from modelpack.errors import ModelNotSupportedError, ModelRefusedError
from modelpack.types import Code, Finding, ModelSpec, Safety

from .methods import of_base
from .policy import NOTES, UNKNOWN, verdict

_MOST_NAMED = 3
_MOST_OPTIONS = 20
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


def settled(spec: ModelSpec, code: Code) -> ModelSpec:
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
        more = f" and {len(unknown) - _MOST_NAMED} more" if len(unknown) > _MOST_NAMED else ""
        raise ModelNotSupportedError(
            f"{_name(spec)} cannot be served: it was trained on columns of categories "
            f"({', '.join(unknown[:_MOST_NAMED])}{more}), and the file does not contain their "
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
    told = [f"{f.message}{_where(f)}" for f in findings[:_MOST_NAMED]]
    more = len(findings) - len(told)
    text = "; ".join(told) + (f"; and {more} more" if more else "")
    is_harmful = any(f.code in _HARMFUL for f in findings) and findings[0].code not in _EXPLAINED
    return ModelRefusedError(
        f"{_name(spec)} is refused, and nothing of it was executed: {text}.",
        hint=_DANGEROUS if is_harmful else _HINTS.get(findings[0].code, _DAMAGED),
    )


def _untrusted(spec: ModelSpec, findings: list[Finding]) -> ModelRefusedError:
    names = sorted({f.global_ for f in findings if f.global_})
    listed = ", ".join(name.replace(":", ".") for name in names[:_MOST_NAMED])
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    options = " ".join(f"--trust {name}" for name in names[:_MOST_OPTIONS])
    if len(names) > _MOST_OPTIONS:
        options += f" (and {len(names) - _MOST_OPTIONS} more: see modelpack inspect --json)"
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
