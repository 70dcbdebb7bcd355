"""From the files of a model to a `ModelSpec`."""

from __future__ import annotations

import re
import shlex
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise, permutations
from pathlib import Path

from modelpack.errors import UsageError
from modelpack.types import Finding, HeldCallable, Member, ModelSpec, Safety, Scalar, Signature

from . import methods, policy
from .callables.listing import listing
from .companions import companions, find_labels, labelled, named
from .facts import estimators as facts_estimators
from .facts import layouts, libraries
from .facts.contents import describe_contents
from .facts.estimators import EstimatorNode, as_node, estimator_node
from .facts.input_types import transforms_to_frames
from .facts.signature import NO_SIGNATURE, no_prediction, repeated_name, signature
from .facts.statsmodels import CODE as UNSERVED
from .facts.statsmodels import is_of_unserved, unserved
from .formats.model import spec
from .nodes import DictNode, Global, Node, ObjectNode
from .parser import ParsedFile, parse_file
from .pickle.machine import merged

_MAX_SHOWN = 5


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
    readings = [parse_file(Path(p), trust) for p in (path, *more)]
    return _spec(readings, select)


def _spec(readings: list[ParsedFile], select: Sequence[str]) -> ModelSpec:
    if any(reading.told for reading in readings):
        return _native_spec(readings, select)
    first, *others = readings
    complete = all(reading.complete for reading in readings)
    roots = [reading.root for reading in readings]
    made = compose(roots, [r.path.stem for r in readings], select) if complete else Composition()
    root, trace = made.root, merged([reading.trace for reading in readings])
    made, found, labels, notices = _completed(made, roots)
    parts = facts_estimators.estimators(trace)
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
        n_jobs=facts_estimators.n_jobs(parts),
        callables=facts_estimators.callables(parts),
        other_versions=libraries.other_versions(versions, parts),
        evidence=layouts.evidence(trace),
        transform_output="pandas" if root and transforms_to_frames(root) else None,
        labels=labels,
        suggestion=made.suggestion,
        notices=notices,
        callable_positions=_callables(readings),
        own_states=methods.states(trace.objects),
    )


def _callables(readings: list[ParsedFile]) -> tuple[HeldCallable, ...]:
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
        shown = ", ".join(ascii(value) for value in labels.values[:_MAX_SHOWN])
        notices.append(f"Predictions are decoded to the labels of {labels.key!a}: {shown}.")
    elif made.chose:
        made = replace(made, problem=made.problem or Finding("misfit", reason))
    elif reason:
        notices.append(
            f"Predictions are not decoded: {ascii(reason)[1:-1]}, and none of them is certainly "
            "that of the target. Name it with --select after the model."
        )
    return made, found, labels.values if labels else None, tuple(notices)


def _native_spec(readings: list[ParsedFile], select: Sequence[str]) -> ModelSpec:
    """Of a model in the format of its own library, which is always one file and one model."""
    if select:
        raise UsageError(
            "--select takes an estimator out of a collection, and the file holds one model.",
            hint="Leave --select away.",
        )
    findings = [finding for reading in readings for finding in _located(reading, len(readings))]
    told = next(reading.told for reading in readings if reading.told)
    if len(readings) > 1 and policy.verdict(findings) != "refuse":
        message = f"one of the files is {told.description}, which is packaged as a single file"
        findings.append(Finding("misfit", message))
    return spec(told, [reading.file for reading in readings], findings)


def _located(reading: ParsedFile, files: int) -> list[Finding]:
    """The findings of a file, with its name where there are several."""
    if files == 1:
        return reading.findings
    name = ascii(reading.path.name)[1:-1]
    return [replace(found, message=f"{name}: {found.message}") for found in reading.findings]


def _notes(made: Composition, readings: list[ParsedFile]) -> list[Finding]:
    """What keeps well-formed files from being served."""
    if not all(reading.complete for reading in readings):
        return []
    if made.problem is not None:
        return [made.problem]
    if made.root is None:
        held = "; ".join(describe_contents(reading.root) for reading in readings)
        return [Finding("not-a-model", f"the file holds {held}, and no estimator")]
    return _faults(made.root)


def _faults(root: EstimatorNode) -> list[Finding]:
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


# A file may hold one estimator, or a tuple, list or dict of objects; and a model may lie in
# several files. Several estimators in a row are a pipeline, and described as one.
_COLLECTIONS = (DictNode, list, tuple)
Key = str | int
MemberPath = tuple[Key, ...]

_MAX_DEPTH = 3
_MAX_VALUES = 1_000_000
_MAX_LISTED = 8
_MAX_ORDERED = 4
_MODEL = re.compile(r"model|estimator|classifier|regressor|clf|best", re.IGNORECASE)
_OF_CLASSES = "LabelEncoder"
_OF_LABELS = {_OF_CLASSES, "LabelBinarizer", "MultiLabelBinarizer"}
"""What transforms the labels of rows, and no rows."""


@dataclass(frozen=True)
class Composition:
    """`root`: what the rows pass through, as one estimator; None where there is none, or none to
    choose. `choices`: what `select` may name; `suggestion`: what it should name for all that the
    rows may have passed through in training. `problem`: why there is no root, where that has to be
    said. `encoders`: those of labels by their keys, or only the one that the user `chose` for the
    predictions. `notices`: sentences on what was left out.
    """

    root: EstimatorNode | None = None
    members: tuple[Member, ...] = (Member(),)
    choices: tuple[str, ...] = ()
    suggestion: tuple[str, ...] = ()
    problem: Finding | None = None
    encoders: tuple[tuple[str, EstimatorNode], ...] = ()
    chose: bool = False
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Found:
    """An estimator, the node that it was read from, and where it is located."""

    part: EstimatorNode
    node: ObjectNode
    member: Member
    name: str


def compose(roots: Sequence[Node], names: Sequence[str], select: Sequence[str]) -> Composition:
    """How the objects of files make one model. `names` of the files; `select`: the estimators to
    take from a file that holds several, in the order in which the rows pass through them.

    Raises:
        UsageError: `select` names none, or is given for several files.
    """
    if select:
        return _selected(roots, select)
    chain: list[_Found] = []
    encoders: list[_Found] = []
    chose = False
    for index, root in enumerate(roots):
        found = _found(index, root, names[index])
        if not found:
            return Composition()
        estimators = [one for one in found if one.part.name != _OF_CLASSES] or found
        if estimators is found and chain and found[0].part.name == _OF_CLASSES:
            estimators, chose = [], True  # the labels of the estimators before
        passed = set(estimators)
        encoders += [one for one in found if one not in passed]
        members = _members(root, estimators, len(found)) if estimators else []
        if members is None:
            return _undecided(found, estimators)
        chain += members
    return replace(_chained(chain), encoders=_by_key(encoders), chose=chose)


def _by_key(encoders: Sequence[_Found]) -> tuple[tuple[str, EstimatorNode], ...]:
    return tuple((_text(one.member.path) or one.name, one.part) for one in encoders)


def _selected(roots: Sequence[Node], select: Sequence[str]) -> Composition:
    if len(roots) > 1:
        raise UsageError(
            "--select takes an estimator out of one file, and several files were given.",
            hint="Give either one file and --select, or one file for each estimator.",
        )
    found = {_text(one.member.path): one for one in _found(0, roots[0], "model")}
    unknown = [name for name in select if name not in found]
    if unknown:
        offered = ", ".join(filter(None, found)) or "none: the file is not a collection of them"
        raise UsageError(
            f"The file holds no estimator at {unknown[0]!a}.",
            hint=f"It holds estimators at: {ascii(offered)[1:-1]}.",
        )
    named = [found[name] for name in select]
    chosen = [one for one in named if one.part.name != _OF_CLASSES] or named
    taken = set(chosen)
    encoders = [one for one in named if one not in taken]
    chose = bool(encoders)
    if not chose:
        encoders = [one for one in found.values() if one.part.name == _OF_CLASSES]
    return replace(
        _chained(chosen),
        choices=tuple(found),
        encoders=_by_key(encoders),
        chose=chose,
        notices=tuple(_left_out(chosen, list(found.values()))),
    )


def _left_out(chosen: Sequence[_Found], found: Sequence[_Found]) -> Iterator[str]:
    """A sentence for each transformer that fits before what was selected, and was not."""
    selected = set(chosen)
    for one in found:
        if one in selected or not _transforms(one):
            continue
        width = _width_out(one)
        if width is not None and width == _width_in(chosen[0]):
            options = " ".join(f"--select {_option(each)}" for each in (one, *chosen))
            yield (
                f"{_printable(one)} is not selected, and gives as many values a row as "
                f"{_printable(chosen[0])} takes. If rows pass through it first, give {options}."
            )


def _printable(found: _Found) -> str:
    return f"{ascii(_text(found.member.path))[1:-1]} ({found.part.name})"


def _option(found: _Found) -> str:
    return shlex.quote(ascii(_text(found.member.path))[1:-1])


def _found(file: int, root: Node, name: str) -> list[_Found]:
    """The estimators that the root is, or holds."""
    part = estimator_node(root)
    if part is not None:
        return [_Found(part, root, Member(file), name)]
    return [
        _Found(inner, node, Member(file, path), str(path[-1]))
        for path, node in _values(root)
        if (inner := estimator_node(node)) is not None
    ]


def _values(root: Node) -> Iterator[tuple[MemberPath, ObjectNode]]:
    """The objects that a tuple, list or dict holds, and that those inside it hold, by key and
    position; at most so many values are looked at.
    """
    waiting: deque[tuple[MemberPath, Node]] = deque()
    if isinstance(root, _COLLECTIONS):
        waiting.append(((), root))
    left = _MAX_VALUES
    while waiting and left > 0:
        path, node = waiting.popleft()
        left -= len(node.keys if isinstance(node, DictNode) else node)
        for key, value in _held(node):
            if isinstance(value, ObjectNode):
                yield (*path, key), value
            elif isinstance(value, _COLLECTIONS) and len(path) < _MAX_DEPTH:
                waiting.append(((*path, key), value))


def _held(node: Node) -> Iterator[tuple[Key, Node]]:
    if isinstance(node, DictNode):
        pairs = zip(node.keys, node.values, strict=True)
        return ((key, value) for key, value in pairs if isinstance(key, str) or type(key) is int)
    return iter(enumerate(node))


def _members(root: Node, found: list[_Found], count: int) -> list[_Found] | None:
    """Those that the rows pass through; None where the file does not tell. `count`: of all objects
    that were found, encoders of labels included.
    """
    if len(found) == 1:
        return found
    is_sequence = isinstance(root, list | tuple) and count == len(root)
    if is_sequence and all(map(_transforms, found[:-1])) and not _transforms(found[-1]):
        return found
    return None


def _transforms(found: _Found) -> bool:
    part = found.part
    if part.last.name in _OF_LABELS:
        return False
    return part.only_transforms or (part.has("transform") is True and not part.has("predict"))


def _undecided(found: list[_Found], estimators: list[_Found]) -> Composition:
    told = [f"{_text(one.member.path)} ({one.part.name})" for one in found[:_MAX_LISTED]]
    more = f" and {len(found) - len(told)} more" if len(found) > len(told) else ""
    message = f"the file holds {len(found)} estimators: {', '.join(told)}{more}"
    return Composition(
        choices=tuple(_text(one.member.path) for one in found),
        suggestion=tuple(_text(one.member.path) for one in _suggested(estimators)),
        problem=Finding("several-models", message),
    )


def _suggested(found: list[_Found]) -> list[_Found]:
    """The estimator that predicts, behind the transformers that fit before it."""
    predictors = [one for one in found if not _transforms(one)] or found[:1]
    last = next((one for one in predictors if _MODEL.search(one.name)), predictors[0])
    transformers = [one for one in found if _transforms(one) and one is not last]
    if len(transformers) > _MAX_ORDERED:
        return [last]
    longest: list[_Found] = []
    for count in range(1, len(transformers) + 1):
        for order in permutations(transformers, count):
            if all(_surely_fit(first, then) for first, then in pairwise((*order, last))):
                longest = list(order)
                break
    return [*longest, last]


def _surely_fit(first: _Found, then: _Found) -> bool:
    width = _width_out(first)
    return width is not None and width == _width_in(then)


def _width_out(found: _Found) -> int | None:
    """How many values a row has behind a transformer; None if that is unknown."""
    shape = signature(found.part).outputs[0].shape
    return shape[0] if len(shape) == 1 and shape[0] >= 0 else None


def _width_in(found: _Found) -> int | None:
    return len(signature(found.part).inputs) or None


def _chained(chain: list[_Found]) -> Composition:
    members = tuple(found.member for found in chain)
    if len(chain) == 1:
        return Composition(chain[0].part, members)
    problem = next(filter(None, map(_misfit, chain, chain[1:])), None)
    return Composition(_pipeline(chain), members, problem=problem)


def _misfit(first: _Found, then: _Found) -> Finding | None:
    """Why rows cannot go from one to the other."""
    if not _can_transform(first):
        message = f"{first.part.name} comes before {then.part.name} and does not transform rows"
        return Finding("misfit", message)
    (width,) = signature(first.part).outputs[0].shape or (-1,)
    takes = len(signature(then.part).inputs)
    if width >= 0 and takes and width != takes:
        message = (
            f"{first.part.name} gives {width:,} values a row, and {then.part.name} takes {takes:,}"
        )
        return Finding("misfit", message)
    return None


def _can_transform(found: _Found) -> bool:
    return found.part.has("transform") is not False and found.part.last.name not in _OF_LABELS


def _pipeline(chain: list[_Found]) -> EstimatorNode:
    """The estimators in a row, as scikit-learn's Pipeline would hold them."""
    steps = [(_step_name(found, index), found.node) for index, found in enumerate(chain)]
    return EstimatorNode(Global("sklearn.pipeline:Pipeline", 0, ""), {"steps": steps})


def _step_name(found: _Found, index: int) -> str:
    """Its key or file; of a position in a tuple, its class, as `make_pipeline` does."""
    is_position = found.name == str(index)
    return found.part.name.lower() if is_position else found.name


def _text(path: MemberPath) -> str:
    """A path as `--select` takes it: "models.churn"."""
    return ".".join(map(str, path))
