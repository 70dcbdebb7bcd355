"""The facts of an MLflow folder in the `ModelSpec` of its file.

A fact of the folder is used where the file has none. Contradictions become notices, and the file
wins: it is what the service loads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from packaging.version import InvalidVersion, Version

from modelpack.types import Field, Finding, ModelSpec, Safety, Scalar, Signature

from .formats.mlflow import PYTHON_FLAVOUR, InputColumn, LoggedModel, example_rows
from .verdicts import verdict

_LAYOUTS = {"array", "frame"}
_MAX_SHOWN = 5
_KINDS = {
    "number": "number", "integer": "number", "boolean": "number", "string": "text",
    "datetime": "text", "any": "any",
}  # fmt: skip
"""Type of a field -> what values of it look like."""


def complete(
    spec: ModelSpec, logged: LoggedModel, *, is_first: bool = True, is_last: bool = True
) -> ModelSpec:
    """Return the spec with the description of it in the folder of one of its files.

    Rows reach the file first or not (`is_first`), and its prediction is that of the model or not.
    """
    if verdict(spec.safety.findings) == "refuse":
        return spec
    if logged.flavour == PYTHON_FLAVOUR:
        spec = _with_context(_with_library(spec, logged.framework), logged)
    notices = [*spec.notices, *_contradictions(spec, logged, is_last=is_last)]
    signature = spec.signature
    if is_first and signature.layout in _LAYOUTS:
        signature, notice = _with_columns(signature, logged)
        notices += filter(None, [notice])
        signature, notice = _with_rows(signature, logged)
        notices += filter(None, [notice])
    spec = replace(
        spec,
        signature=signature,
        recorded={**_versions(logged), **spec.recorded},
        trained_on=spec.trained_on or logged.python or None,
        notices=tuple(notices),
    )
    if signature.layout == "frame" and "pandas" not in spec.requirements:
        spec = replace(
            spec,
            requirements=dict(sorted({**spec.requirements, "pandas": ""}.items())),
            reasons={**spec.reasons, "pandas": "the signature in MLmodel has named columns"},
        )
    return _with_method(spec, logged) if is_last else spec


def _with_library(spec: ModelSpec, library: str) -> ModelSpec:
    """Return the spec of an object of the author's class, which extends a class of MLflow."""
    reason = "the class of the model extends mlflow.pyfunc.PythonModel"
    return replace(
        spec,
        requirements=dict(sorted({**spec.requirements, library: "", "pandas": ""}.items())),
        reasons={**spec.reasons, library: reason, "pandas": "mlflow.pyfunc imports it"},
        local_modules=tuple(name for name in spec.local_modules if name != "mlflow"),
    )


def _with_context(spec: ModelSpec, logged: LoggedModel) -> ModelSpec:
    """Return the spec of an object of the author's class with what its code reads and needs.

    Only the folder names the libraries of files that the code reads, and those of a script.
    """
    if not logged.context and not logged.is_script:
        return spec
    context = logged.context
    named = {name: "" if _is_version(text) else text for name, text in logged.requirements.items()}
    added = {name: text for name, text in named.items() if name not in spec.requirements}
    notices = list(spec.notices)
    if context and context.artifacts:
        notices.append(
            f"The image contains the artifacts of MLmodel ({_shown([*context.artifacts])}), which "
            "only the author's code reads. They are not inspected."
        )
    reasons = dict.fromkeys(added, "requirements.txt of the MLflow folder names it")
    return replace(
        spec,
        requirements=dict(sorted({**spec.requirements, **added}.items())),
        reasons={**spec.reasons, **reasons},
        notices=tuple(notices),
        context=context,
    )


def _contradictions(spec: ModelSpec, logged: LoggedModel, *, is_last: bool) -> Iterator[str]:
    recorded = spec.versions.get(logged.framework, "")
    if recorded[:1].isdigit() and logged.version and recorded != logged.version:
        yield (
            f"MLmodel names {logged.framework} {repr(logged.version)[1:-1]}, but the file records "
            f"{recorded}, which is used."
        )
    is_other = logged.flavour not in {"sklearn", PYTHON_FLAVOUR} and (
        spec.framework not in {None, logged.framework}
    )
    if is_last and is_other:
        yield f"MLmodel has the flavour {logged.flavour}, but the file is of {spec.framework}."


def _with_columns(signature: Signature, logged: LoggedModel) -> tuple[Signature, str]:
    """Return the signature with names and types of MLmodel, and a notice or ""."""
    columns = logged.columns
    if columns is None:
        return signature, ""
    if not signature.inputs:
        inputs = tuple(
            Field(each.name, each.type, nullable=not each.required, dtype=each.dtype)
            for each in columns
        )
        notice = "The inputs come from the signature in MLmodel."
        return replace(signature, inputs=inputs, layout="frame", named=True), notice
    names = [field.name for field in signature.inputs]
    listed = [each.name for each in columns]
    if len(names) != len(listed) or (signature.named and set(names) != set(listed)):
        return signature, (
            f"The signature in MLmodel has {len(listed):,} columns ({_shown(listed)}), but the "
            f"model has {len(names):,} ({_shown(names)}), which are used."
        )
    by_name = {each.name: each for each in columns}
    described = [by_name[name] for name in names] if signature.named else columns
    inputs = tuple(
        replace(field, name=each.name, type=each.type if field.type == "any" else field.type)
        for field, each in zip(signature.inputs, described, strict=True)
    )
    found = [] if signature.named else ["The names of the inputs come from MLmodel."]
    found += _differences(signature.inputs, described)
    return replace(signature, inputs=inputs, named=True), " ".join(found)


def _differences(fields: Sequence[Field], described: Sequence[InputColumn]) -> Iterator[str]:
    """Yield how the columns of MLmodel differ from the inputs of the model, which are used."""
    pairs = list(zip(fields, described, strict=True))
    types = [
        f"{each.name!r} ({each.type}, in the model {field.type})"
        for field, each in pairs
        if field.type != "any" and _KINDS[field.type] != _KINDS[each.type]
    ]
    if types:
        yield f"MLmodel has other types than the model for {_listed(types)}. The model is used."
    optional = [
        f"{each.name!r}" for field, each in pairs if not each.required and not field.nullable
    ]
    if optional:
        yield f"MLmodel allows missing values of {_listed(optional)}, but the model has none."


def _listed(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _MAX_SHOWN:,} more" if len(texts) > _MAX_SHOWN else ""
    return ", ".join(texts[:_MAX_SHOWN]) + more


def _shown(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > _MAX_SHOWN else ""
    return ", ".join(map(ascii, names[:_MAX_SHOWN])) + more


def _with_rows(signature: Signature, logged: LoggedModel) -> tuple[Signature, str]:
    """Return the signature with the rows of the input example, and a notice if they do not fit."""
    rows = example_rows(logged, [field.name for field in signature.inputs])
    if not rows or not all(all(map(_fits, signature.inputs, row)) for row in rows):
        unused = "The input example of MLflow does not fit the model, and is not used."
        return signature, unused if logged.rows else ""
    pairs = zip(signature.inputs, rows[0], strict=True)
    inputs = tuple(f if value is None else replace(f, example=value) for f, value in pairs)
    return replace(signature, inputs=inputs, samples=rows), ""


def _fits(field: Field, value: Scalar) -> bool:
    if value is None:
        return field.nullable
    if isinstance(value, bool):
        return field.type in {"boolean", "any"}
    if isinstance(value, str):
        known = field.categories if field.type == "string" else None
        is_known = known is None or value in known
        return field.type in {"string", "datetime", "any"} and is_known
    is_whole = field.type != "integer" or value == int(value)
    return field.type in {"number", "integer", "any"} and is_whole


def _versions(logged: LoggedModel) -> dict[str, str]:
    """Return the versions of the training that an index may have."""
    named = dict(logged.requirements)
    if logged.version:
        named[logged.framework] = logged.version
    return {name: text for name, text in sorted(named.items()) if _is_version(text)}


def _is_version(text: str) -> bool:
    try:
        return Version(text).local is None
    except InvalidVersion:
        return False


def _with_method(spec: ModelSpec, logged: LoggedModel) -> ModelSpec:
    """Return the spec with the method that MLflow calls, or a finding that it is not served."""
    signature, method = spec.signature, logged.predict_fn
    if method in {spec.method, "predict"}:
        return spec
    if method == "predict_proba" and signature.probabilities and signature.classes:
        output = Field("prediction", "number", (len(signature.classes),))
        shown = _shown([str(label) for label in signature.classes])
        signature = replace(signature, outputs=(output,), classes=None, probabilities=False)
        notice = f"MLmodel names predict_proba: a prediction is the probabilities of {shown}."
        return replace(
            spec,
            method=method,
            signature=signature,
            labels=None,
            notices=(*spec.notices, notice),
            not_compilable=spec.not_compilable or "its prediction is that of predict_proba",
        )
    shown = repr(method)[1:-1][:60]
    message = f"MLmodel names the method {shown} for predictions, which modelpack does not serve"
    findings = (*spec.safety.findings, Finding("mlflow-method", message))
    return replace(spec, safety=Safety(verdict(findings), findings))
