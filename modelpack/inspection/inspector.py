"""From the files of a model to a `ModelSpec`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from modelpack.errors import UsageError
from modelpack.types import Finding, HeldCallable, ModelSpec, Safety, Scalar, Signature

from . import methods, policy
from .callables.listing import listing
from .companions import companions, find_labels, labelled, named
from .composition import Composition, compose
from .facts import layouts, libraries, parameters
from .facts.parts import Part, as_node
from .facts.passage import transforms_to_frames
from .facts.signature import NO_SIGNATURE, no_prediction, repeated_name, signature
from .facts.unserved import CODE as UNSERVED
from .facts.unserved import is_of_unserved, unserved
from .facts.words import what
from .machine import merged
from .native.spec import spec
from .nodes import Node
from .reading import Reading, read

_MOST_SHOWN = 5


def inspect(
    path: str | Path, *more: str | Path, trust: Collection[str] = (), select: Sequence[str] = ()
) -> ModelSpec:
    """All that can be known of a model without loading it. `more`: further files that it lies in,
    in the order in which its rows pass through them.

    A file that is broken, hostile or no model gives a spec too; its `safety` says so. `trust` names
    globals ("module:name") that the verdict accepts although modelpack does not know them. `select`
    names the keys or positions of the estimators to take from a file that holds several.

    Raises:
        UsageError: there is no such file, or it is no regular file, or it cannot be read; or
            `select` names what is not in it.
    """
    readings = [read(Path(p), trust) for p in (path, *more)]
    return _spec(readings, select)


def _spec(readings: list[Reading], select: Sequence[str]) -> ModelSpec:
    if any(reading.told for reading in readings):
        return _native_spec(readings, select)
    first, *others = readings
    complete = all(reading.complete for reading in readings)
    roots = [reading.root for reading in readings]
    made = compose(roots, [r.path.stem for r in readings], select) if complete else Composition()
    root, trace = made.root, merged([reading.trace for reading in readings])
    made, found, labels, notices = _completed(made, roots)
    parts = parameters.estimators(trace)
    versions = libraries.recorded_versions(root, trace, parts)
    framework = libraries.framework(root)
    readers = {
        "joblib": any(reading.is_joblib for reading in readings),
        "lz4": any(reading.container == "lz4" for reading in readings),
        "skops": any(reading.container == "zip" for reading in readings),
        "pandas": found.layout == "frame",
    }
    needed = {name for name in readers if readers[name]} | libraries.containers(parts)
    required = libraries.requirements(trace, versions, needed)
    findings = [finding for reading in readings for finding in _located(reading, len(readings))]
    reason = unserved(root)
    unusual = [each for each in findings if not is_of_unserved(each)]
    if reason is not None and policy.verdict(unusual) != "refuse":
        findings = [Finding(UNSERVED, reason), *unusual]
    elif policy.verdict(findings) != "refuse":  # else what it holds is beside the point
        findings += _notes(made, readings)
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
        signature=found,
        safety=Safety(policy.verdict(findings), tuple(findings)),
        globals=tuple(sorted(trace.globals)),
        members=made.members,
        more_files=tuple(reading.file for reading in others),
        choices=made.choices,
        reasons=libraries.reasons(required, trace, versions, parts),
        n_jobs=parameters.n_jobs(parts),
        callables=parameters.callables(parts),
        other_versions=libraries.other_versions(versions, parts),
        evidence=layouts.evidence(trace),
        transform_output="pandas" if root and transforms_to_frames(root) else None,
        labels=labels,
        suggestion=made.suggestion,
        notices=notices,
        callable_positions=_callables(readings),
        own_states=methods.states(trace.objects),
    )


def _callables(readings: list[Reading]) -> tuple[HeldCallable, ...]:
    """What the objects of the files hold, each position with its file where there are several."""
    names = [f"{ascii(r.path.name)[1:-1]}: " if len(readings) > 1 else "" for r in readings]
    found = [
        listing(r.root, name)
        for r, name in zip(readings, names, strict=True)
        if r.complete and r.trace.globals
    ]
    return tuple(chain.from_iterable(found))


def _completed(
    made: Composition, roots: Sequence[Node]
) -> tuple[Composition, Signature, tuple[Scalar, ...] | None, tuple[str, ...]]:
    """The signature of the model with the names and labels that the files contain next to it; the
    labels; and sentences on all that. The composition has a problem if chosen labels do not fit.
    """
    if made.root is None:
        return made, NO_SIGNATURE, None, made.notices
    values = [each for root in roots for each in companions(root)]
    found, key = named(signature(made.root), values)
    notices = [*made.notices]
    if key:
        notices.append(f"The names of the inputs come from {key!a} in the file.")
    labels, reason = find_labels(found, made.encoders, values, selected=made.chose)
    if labels:
        found = labelled(found, labels)
        shown = ", ".join(ascii(value) for value in labels.values[:_MOST_SHOWN])
        notices.append(f"Predictions are decoded to the labels of {labels.key!a}: {shown}.")
    elif made.chose:
        made = replace(made, problem=made.problem or Finding("misfit", reason))
    elif reason:
        notices.append(
            f"Predictions are not decoded: {ascii(reason)[1:-1]}, and none of them is certainly "
            "that of the target. Name it with --select after the model."
        )
    return made, found, labels.values if labels else None, tuple(notices)


def _native_spec(readings: list[Reading], select: Sequence[str]) -> ModelSpec:
    """Of a model in the format of its own library, which is always one file and one model."""
    if select:
        raise UsageError(
            "--select takes an estimator out of a collection, and the file holds one model.",
            hint="Leave --select away.",
        )
    findings = [finding for reading in readings for finding in _located(reading, len(readings))]
    told = next(reading.told for reading in readings if reading.told)
    if len(readings) > 1 and policy.verdict(findings) != "refuse":
        findings.append(Finding("misfit", f"one of the files is {told.words}, which stands alone"))
    return spec(told, [reading.file for reading in readings], findings)


def _located(reading: Reading, files: int) -> list[Finding]:
    """The findings of a file, with its name where there are several."""
    if files == 1:
        return reading.findings
    name = ascii(reading.path.name)[1:-1]
    return [replace(found, message=f"{name}: {found.message}") for found in reading.findings]


def _notes(made: Composition, readings: list[Reading]) -> list[Finding]:
    """What keeps well-formed files from being served."""
    if not all(reading.complete for reading in readings):
        return []
    if made.problem is not None:
        return [made.problem]
    if made.root is None:
        held = "; ".join(what(reading.root) for reading in readings)
        return [Finding("not-a-model", f"the file holds {held}, and no estimator")]
    return _faults(made.root)


def _faults(root: Part) -> list[Finding]:
    """Return what keeps an estimator from answering the rows of a table."""
    if not root.is_fitted:
        return [Finding("not-fitted", f"{root.last.cls.dotted} was saved before it was fitted")]
    if reason := no_prediction(root):
        return [Finding("no-prediction", reason)]
    repeated = repeated_name(root)
    if repeated is not None:
        shown = ascii(repeated)[1:-1]
        message = f"two columns have the same name, {shown}, so rows by name do not fit it"
        return [Finding("repeated-name", message)]
    return []
