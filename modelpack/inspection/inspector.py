"""Inspection of the files of a model: findings, and the description in a `ModelSpec`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import chain, islice, starmap
from pathlib import Path

from modelpack.errors import UsageError
from modelpack.types import Field, Finding, HeldCallable, ModelSpec, Safety, Scalar, Signature

from . import known_formats, methods, verdicts
from .callables.listing import listing
from .companions import (
    Labels,
    companions,
    find_labels,
    find_threshold,
    input_codes,
    labelled,
    named,
    outputs_of_labels,
)
from .composition import Composition, compose
from .facts import estimators as facts_estimators
from .facts import layouts, libraries
from .facts.arrow_columns import CODE as ARROW_TYPE
from .facts.arrow_columns import unread_type
from .facts.compilable import INVERSE, not_compilable
from .facts.contents import describe_contents, describe_name
from .facts.estimators import EstimatorNode, as_node
from .facts.explainers import CODE as EXPLAINER
from .facts.explainers import explainer, next_to, only_explains
from .facts.input_types import transforms_to_frames
from .facts.signature import NO_SIGNATURE, no_prediction, repeated_name, takes_sequences
from .facts.signature import signature as signature_of
from .facts.skops_pandas import CODE as SKOPS_PANDAS
from .facts.skops_pandas import unloadable
from .facts.statsmodels import probabilities
from .facts.unread_objects import unread_object
from .facts.unserved import CODE as UNSERVED
from .facts.unserved import are_of_unserved, unserved
from .folders import unsupported_folder
from .formats import mlflow
from .formats.mlflow import LoggedModel
from .formats.model import NativeModel, spec
from .logged import complete
from .native_member import NativeMember
from .nodes import Malformed, Node
from .parser import ParsedFile, parse_description, parse_file, parse_script
from .pickle.machine import merge

_SCRIPT = NativeModel(
    "mlflow.pyfunc.model.PythonModel",
    "mlflow-skinny",
    "a script of MLflow",
    Signature((), (Field("prediction", "any"),)),
)
_MAX_SHOWN = 5
_MAX_CODED = 20
"""Inputs whose codes are explained in notices."""


def inspect(
    path: str | Path, *more: str | Path, trust: Collection[str] = (), select: Sequence[str] = ()
) -> ModelSpec:
    """Describe a model without loading it.

    A file that is damaged, hostile or not a model has findings in `safety`.

    Args:
        path: The file of the model, or the folder that MLflow saved it in.
        more: Further files of the model, in the order in which rows pass through them.
        trust: Unknown globals ("module:name") that the verdict accepts.
        select: Keys or positions of estimators in a file with several.

    Raises:
        UsageError: A file does not exist, is not a regular file or cannot be read, or `select`
            names an estimator that is not in the file.
        ModelNotSupportedError: A folder is not one of MLflow.
    """
    files, described = [], list[LoggedModel | None]()
    for each in map(Path, (path, *more)):
        file, logged = _parse(each, trust)
        files.append(file)
        described.append(logged)
    spec = _describe(files, select)
    order = [member.file for member in spec.members] or range(len(files))
    for index, logged in enumerate(described):
        if logged:
            is_first, is_last = index == order[0], index == order[-1]
            spec = complete(spec, logged, is_first=is_first, is_last=is_last)
    return spec


def _parse(path: Path, trust: Collection[str]) -> tuple[ParsedFile, LoggedModel | None]:
    """Read a file, or the file that an MLflow folder describes, with its description."""
    if not mlflow.is_folder(path):
        if path.is_dir():
            raise unsupported_folder(path)
        return parse_file(path, trust), None
    try:
        logged = mlflow.read_folder(path)
    except Malformed as problem:
        return parse_description(path / mlflow.NAME, problem), None
    parse = parse_script if logged.is_script else parse_file
    return parse(logged.path, trust), logged


def _describe(files: list[ParsedFile], select: Sequence[str]) -> ModelSpec:
    natives = [index for index, file in enumerate(files) if file.native]
    if any(file.other is known_formats.MLFLOW_SCRIPT for file in files):
        return _script_spec(files)
    if not natives:
        return _spec(files, select)
    if len(files) == 1 or len(natives) > 1:
        return _native_spec(files, select)
    return _spec_around(files, natives[0], select)


def _spec(
    files: list[ParsedFile], select: Sequence[str], native: NativeMember | None = None
) -> ModelSpec:
    """Return the spec of the objects of pickles, with at most one native model among the files."""
    first, *others = files
    complete = all(file.complete for file in files)
    roots = [file.root for file in files]
    composition = (
        compose(roots, [r.path.stem for r in files], select, native) if complete else Composition()
    )
    root, trace = composition.root, merge([file.trace for file in files])
    composition, signature, labels, notices = _with_companions(composition, roots, native)
    parts = facts_estimators.estimators(trace)
    versions = libraries.recorded_versions(root, trace, parts)
    recorded, trained_on = libraries.recorded_environment(root)
    framework = libraries.framework(root, parts)
    readers = _libraries_to_load(files, signature) | libraries.containers(parts)
    required = libraries.requirements(trace, versions, readers)
    findings = _findings(files, composition)
    return ModelSpec(
        file=first.file,
        format=first.format,
        framework=framework,
        framework_version=libraries.framework_version(framework, versions),
        python=libraries.python_specifier(trace),
        task=root.task if root else "unknown",
        estimator=root.cls.dotted if root else None,
        steps=as_node(root).steps if root else (),
        method="transform" if root and root.only_transforms else "predict",
        requirements=required,
        versions=versions,
        local_modules=libraries.local_modules(trace),
        signature=signature,
        safety=Safety(verdicts.verdict(findings), tuple(findings)),
        globals=tuple(sorted(trace.globals)),
        members=composition.members,
        more_files=tuple(file.file for file in others),
        choices=composition.choices,
        reasons=libraries.reasons(required, trace, versions, parts),
        n_jobs=facts_estimators.n_jobs(parts),
        trained_on=trained_on,
        recorded=recorded,
        callables=facts_estimators.callables(parts),
        other_versions=libraries.other_versions(versions, parts),
        evidence=layouts.evidence(trace),
        transform_output="pandas" if root and transforms_to_frames(root) else None,
        labels=labels,
        target=composition.target,
        suggestion=composition.suggestion,
        notices=notices,
        callable_positions=_callables(files),
        own_states=methods.states(trace.objects),
        not_compilable=INVERSE if composition.target else not_compilable(root),
    )


def _libraries_to_load(files: list[ParsedFile], signature: Signature) -> set[str]:
    """Return the libraries that read the files and rows, besides that of the model."""
    needed = {
        "joblib": any(file.is_joblib for file in files),
        "lz4": any(file.container == "lz4" for file in files),
        "skops": any(file.container == "zip" for file in files),
        "pandas": signature.layout == "frame",
    }
    return {name for name in needed if needed[name]}


def _findings(files: list[ParsedFile], composition: Composition) -> list[Finding]:
    findings = [finding for file in files for finding in _located(file, len(files))]
    root = composition.root
    named = describe_name(files[0].root) if len(files) == 1 else None
    if named and verdicts.verdict(findings) != "refuse":
        return [Finding("only-a-name", named)]
    objects = list(chain.from_iterable(file.trace.objects for file in files))
    is_refused = root is None or verdicts.verdict(findings) == "refuse"
    explained = next_to(objects) if root else _explainer(files)
    if explained and is_refused and only_explains(findings, objects):
        return [Finding(EXPLAINER, explained)]
    for code, why in ((SKOPS_PANDAS, unloadable), (ARROW_TYPE, unread_type)):
        if reason := why(findings, objects):
            return [Finding(code, reason)]
    if root is not None and are_of_unserved(findings, objects):
        if reason := unserved(root):
            return [Finding(UNSERVED, reason)]
        if takes_sequences(root):
            message = f"{root.last.cls.dotted} labels sequences of feature dicts"
            return [*findings, Finding("takes-sequences", message)]
    if unread := unread_object(findings, objects, [file.root for file in files]):
        findings = [unread]
    elif verdicts.verdict(findings) != "refuse":
        findings += _notes(composition, files)
    elif explained and root is None:
        findings.append(Finding("not-a-model", explained))
    return findings


def _explainer(files: list[ParsedFile]) -> str | None:
    found = (explainer(file.root, file.trace.globals) for file in files if not file.native)
    return next(filter(None, found), None)


def _callables(files: list[ParsedFile]) -> tuple[HeldCallable, ...]:
    """Return the callables in the objects; positions start with the file if there are several."""
    names = [f"{repr(r.path.name)[1:-1]}: " if len(files) > 1 else "" for r in files]
    listings = [
        listing(r.root, name)
        for r, name in zip(files, names, strict=True)
        if r.complete and r.trace.globals
    ]
    return tuple(chain.from_iterable(listings))


def _with_companions(
    composition: Composition, roots: Sequence[Node], native: NativeMember | None = None
) -> tuple[Composition, Signature, tuple[Scalar, ...] | None, tuple[str, ...]]:
    """Add the column names and class labels that the files contain next to the model.

    Returns:
        The composition, with a problem if the selected labels do not fit; the signature; the
        labels; and notices.
    """
    if composition.root is None and (native is None or composition.problem):
        return composition, NO_SIGNATURE, None, composition.notices
    values = [each for root in roots for each in companions(root)]
    own = signature_of(composition.root) if composition.root else NO_SIGNATURE
    signature, key = named(native.predicting(own, composition.root) if native else own, values)
    notices = [*composition.notices]
    if key:
        notices.append(f"The names of the inputs come from {key!r} in the file.")
    labels, reason = find_labels(
        signature, composition.encoders, values, selected=composition.encoder_selected
    )
    if labels:
        signature = labelled(signature, labels)
        shown = ", ".join(repr(value) for value in labels.values[:_MAX_SHOWN])
        notices.append(f"Predictions are decoded to the labels of {labels.key!r}: {shown}.")
    elif composition.encoder_selected:
        composition = replace(composition, problem=composition.problem or Finding("misfit", reason))
    elif reason:
        notices.append(
            f"Predictions are not decoded: {repr(reason)[1:-1]}, and it is uncertain which one "
            "encodes the target. Name it with --select after the model."
        )
    notices += map(_outputs_notice, outputs_of_labels(signature, composition.binarizers))
    if threshold := find_threshold(signature, values):
        notices.append(_threshold_notice(*threshold))
    others = [each for each in composition.encoders if not labels or each[0] != labels.key]
    if composition.root and (notice := probabilities(composition.root.last)):
        notices.append(notice)
    notices += islice(starmap(_codes_notice, input_codes(signature, others)), _MAX_CODED)
    return composition, signature, labels.values if labels else None, tuple(notices)


def _outputs_notice(labels: Labels) -> str:
    """Return the notice on a model whose outputs are those of a binarizer."""
    shown = ", ".join(repr(value) for value in labels.values[:_MAX_CODED])
    more = len(labels.values) - _MAX_CODED
    return (
        f"A prediction has one value for each label of {labels.key!r}, in this order: {shown}"
        f"{f', and {more:,} more' if more > 0 else ''}."
    )


def _threshold_notice(key: str, value: float) -> str:
    """Return the notice on a threshold that the author may have compared probabilities with."""
    return (
        f"The {key!r} in the file, {value}, is not applied: predictions are those of the model's "
        "predict. Compare the probabilities with it, or save the model in a "
        "FixedThresholdClassifier of scikit-learn."
    )


def _codes_notice(name: str, encoder: Labels) -> str:
    """Return the notice on an input that takes codes, with the first of them."""
    shown = [f"{code} = {value!r}" for code, value in enumerate(encoder.values[:_MAX_SHOWN])]
    more = len(encoder.values) - len(shown)
    return (
        f"The input {name!r} takes the codes of the LabelEncoder {encoder.key!r}, which is not"
        f" applied: {', '.join(shown)}{f', and {more:,} more' if more else ''}."
    )


def _native_spec(files: list[ParsedFile], select: Sequence[str]) -> ModelSpec:
    """Return the spec of a model that is not a pickle, or of several, which are never one model."""
    if select:
        raise UsageError(
            "--select takes an estimator from a collection, but the file contains a single model.",
            hint="Leave out --select.",
        )
    findings = [finding for file in files for finding in _located(file, len(files))]
    models = [file.native for file in files if file.native]
    if len(files) > 1 and verdicts.verdict(findings) != "refuse":
        named = " and ".join(model.description for model in models)
        findings.append(Finding("misfit", f"the files contain {len(models)} models: {named}"))
    return spec(models[0], [file.file for file in files], findings)


def _script_spec(files: list[ParsedFile]) -> ModelSpec:
    """Return the spec of a script that MLflow runs to get a model of the author's class."""
    findings = [finding for file in files for finding in _located(file, len(files))]
    if len(files) > 1:
        findings.append(Finding("misfit", "a script of MLflow is a model to which no file leads"))
    described = spec(_SCRIPT, [file.file for file in files], findings)
    return replace(described, framework=None, local_modules=(files[0].path.stem,))


def _spec_around(files: list[ParsedFile], position: int, select: Sequence[str]) -> ModelSpec:
    """Return the spec of transformers in pickles, and of a native model that they lead to."""
    model = files[position].native
    if model is None:
        raise TypeError("the file contains no native model")
    native = NativeMember(model, position, files[position].path.stem)
    return native.complete(_spec(files, select, native))


def _located(file: ParsedFile, count: int) -> list[Finding]:
    """Return the findings of a file, with its name if there are several files."""
    if count == 1:
        return file.findings
    name = repr(file.path.name)[1:-1]
    return [replace(each, message=f"{name}: {each.message}") for each in file.findings]


def _notes(composition: Composition, files: list[ParsedFile]) -> list[Finding]:
    """Return why well-formed files cannot be served."""
    if not all(file.complete for file in files):
        return []
    if composition.problem is not None:
        return [composition.problem]
    native = next((file.native for file in files if file.native), None)
    if native is not None and composition.members:
        return [native.problem] if native.problem else []
    if composition.root is None:
        contents = "; ".join(describe_contents(file.root) for file in files if not file.native)
        return [Finding("not-a-model", f"the file contains {contents}, but no estimator")]
    return _faults(composition.root)


def _faults(root: EstimatorNode) -> list[Finding]:
    """Return why an estimator cannot predict table rows."""
    if not root.is_fitted:
        return [Finding("not-fitted", f"{root.last.cls.dotted} was saved before it was fitted")]
    if reason := no_prediction(root):
        return [Finding("no-prediction", reason)]
    repeated = repeated_name(root)
    if repeated is not None:
        shown = repr(repeated)[1:-1]
        message = f"two columns have the same name, {shown}, so rows by name do not fit it"
        return [Finding("repeated-name", message)]
    return []
