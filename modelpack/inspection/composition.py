"""The estimators of the files of a model as one.

A file contains one estimator, or a tuple, list or dict of objects. A model may consist of several
files. Several estimators in sequence are described as one pipeline.
"""

from __future__ import annotations

import re
import shlex
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, permutations

from modelpack.errors import UsageError
from modelpack.types import Finding, Member

from .facts.estimators import EstimatorNode, estimator_node
from .facts.signature import signature as signature_of
from .native_member import NativeMember
from .nodes import DictNode, Global, Node, ObjectNode

_COLLECTIONS = (DictNode, list, tuple)
Key = str | int
MemberPath = tuple[Key, ...]

_MAX_DEPTH = 3
_MAX_VALUES = 1_000_000
_MAX_LISTED = 8
_MAX_ORDERED = 4
_MODEL = re.compile(r"model|estimator|classifier|regressor|clf|best", re.IGNORECASE)
_CLASS_ENCODER = "LabelEncoder"
_LABEL_TRANSFORMERS = {_CLASS_ENCODER, "LabelBinarizer", "MultiLabelBinarizer"}
"""Transformers of labels, not of rows."""


@dataclass(frozen=True)
class Composition:
    """The estimators of a model as one.

    Attributes:
        root: The estimator that rows pass through. None if none exists or several are possible.
        members: The locations of its estimators in the files.
        choices: Valid values of `select`.
        suggestion: Values of `select` for all estimators that rows may have passed through.
        problem: Why there is no root, or why its members do not fit.
        encoders: Label encoders with their keys; a single one if the user selected it.
        encoder_selected: Whether the user selected an encoder for the predictions.
        notices: Sentences about estimators that were left out.
    """

    root: EstimatorNode | None = None
    members: tuple[Member, ...] = (Member(),)
    choices: tuple[str, ...] = ()
    suggestion: tuple[str, ...] = ()
    problem: Finding | None = None
    encoders: tuple[tuple[str, EstimatorNode], ...] = ()
    encoder_selected: bool = False
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Candidate:
    """An estimator, the node that it was read from, and where it is located."""

    part: EstimatorNode
    node: ObjectNode
    member: Member
    name: str


def compose(
    roots: Sequence[Node],
    names: Sequence[str],
    select: Sequence[str],
    native: NativeMember | None = None,
) -> Composition:
    """Compose the objects of files to one model.

    `roots` has the value of each file. `select` names estimators of a file with several, in the
    order in which rows pass through them. `native` is the model of the file that is not a pickle,
    whose root is ignored.

    Raises:
        UsageError: `select` names a missing estimator, or there are several files.
    """
    if select:
        return _selected(roots, select)
    chain: list[_Candidate] = []
    encoders: list[_Candidate] = []
    encoder_selected = False
    for index, root in enumerate(roots):
        is_behind = native is not None and index > native.position
        if native is not None and index == native.position:
            continue
        candidates = _find_estimators(index, root, names[index])
        if not candidates:
            return Composition() if native is None else Composition(members=())
        estimators = [one for one in candidates if one.part.name != _CLASS_ENCODER] or candidates
        follows = bool(chain) or is_behind
        if estimators is candidates and follows and candidates[0].part.name == _CLASS_ENCODER:
            estimators, encoder_selected = [], True  # labels of the preceding estimators
        elif native is not None and is_behind:
            return Composition(members=(), problem=native.comes_before(estimators[0].part.name))
        passed = set(estimators)
        encoders += [one for one in candidates if one not in passed]
        members = _members(root, estimators, len(candidates)) if estimators else []
        if members is None:
            return _undecided(candidates, estimators)
        chain += members
    composition = _composed(chain, native)
    if composition.problem and len(chain) + len(encoders) + bool(native) == len(roots):
        composition = _reordered(composition, [*chain, *encoders], native)
    return replace(composition, encoders=_by_key(encoders), encoder_selected=encoder_selected)


def _composed(chain: list[_Candidate], native: NativeMember | None) -> Composition:
    return _chained(chain) if native is None else _chained_before(chain, native)


def _reordered(
    composition: Composition, candidates: list[_Candidate], native: NativeMember | None
) -> Composition:
    """Return a composition of misplaced files with the order that fits, if one does.

    Its problem is then `file-order`, and its members have that order.

    Args:
        composition: In the order of the files.
        candidates: The only estimator of each file.
        native: The model of the file that is not a pickle.
    """
    labels = [one for one in candidates if one.part.name == _CLASS_ENCODER]
    chain = [one for one in candidates if one.part.name != _CLASS_ENCODER]
    if native is None and chain:
        chain = _suggested(chain)
    is_complete = len(chain) + len(labels) == len(candidates) and len(labels) <= 1
    predicts = native is not None or (bool(chain) and not _transforms(chain[-1]))
    if not (is_complete and predicts) or _composed(chain, native).problem:
        return composition
    members = [*(one.member for one in chain), *([Member(native.position)] if native else [])]
    members += [one.member for one in labels]
    message = composition.problem.message if composition.problem else ""
    return replace(composition, members=tuple(members), problem=Finding("file-order", message))


def _chained_before(chain: list[_Candidate], native: NativeMember) -> Composition:
    """Return the composition of transformers and the native model behind them, or of it alone."""
    own = Member(native.position)
    if not chain:
        return Composition(None, (own,))
    composition = _chained(chain)
    last = chain[-1]
    problem = composition.problem
    if problem is None:
        problem = native.mismatch(last.part.name, _width_out(last), transforms=_can_transform(last))
    return replace(composition, members=(*composition.members, own), problem=problem)


def _by_key(encoders: Sequence[_Candidate]) -> tuple[tuple[str, EstimatorNode], ...]:
    return tuple((_text(one.member.path) or one.name, one.part) for one in encoders)


def _selected(roots: Sequence[Node], select: Sequence[str]) -> Composition:
    if len(roots) > 1:
        raise UsageError(
            "--select takes an estimator from one file, but there are several files.",
            hint="Give either one file and --select, or one file for each estimator.",
        )
    by_name = {_text(one.member.path): one for one in _find_estimators(0, roots[0], "model")}
    unknown = [name for name in select if name not in by_name]
    if unknown:
        raise UsageError(
            f"The file contains no estimator at {unknown[0]!a}.",
            hint=f"Estimators in the file: {ascii(', '.join(filter(None, by_name)))[1:-1]}."
            if any(by_name)
            else "Leave out --select: the file is not a collection of estimators.",
        )
    selected = [by_name[name] for name in select]
    chain = [one for one in selected if one.part.name != _CLASS_ENCODER] or selected
    taken = set(chain)
    encoders = [one for one in selected if one not in taken]
    encoder_selected = bool(encoders)
    if not encoder_selected:
        encoders = [one for one in by_name.values() if one.part.name == _CLASS_ENCODER]
    return replace(
        _chained(chain),
        choices=tuple(by_name),
        encoders=_by_key(encoders),
        encoder_selected=encoder_selected,
        notices=tuple(_left_out(chain, list(by_name.values()))),
    )


def _left_out(chain: Sequence[_Candidate], candidates: Sequence[_Candidate]) -> Iterator[str]:
    """Yield a notice for each transformer that is not selected: the author may have applied it."""
    selected = set(chain)
    for one in candidates:
        if one in selected or not _transforms(one):
            continue
        width = _width_out(one)
        if width is not None and width == _width_in(chain[0]):
            options = " ".join(f"--select {_option(each)}" for each in (one, *chain))
            yield (
                f"{_printable(one)} is not selected, but returns as many values per row as "
                f"{_printable(chain[0])} takes. If rows pass through it first, give {options}."
            )
        else:
            yield (
                f"{_printable(one)} is not selected, and is not applied to rows or predictions. If "
                "training applied it, save one pipeline that contains it."
            )


def _printable(candidate: _Candidate) -> str:
    return f"{ascii(_text(candidate.member.path))[1:-1]} ({candidate.part.name})"


def _option(candidate: _Candidate) -> str:
    return shlex.quote(ascii(_text(candidate.member.path))[1:-1])


def _find_estimators(file: int, root: Node, name: str) -> list[_Candidate]:
    """Return the root if it is an estimator, otherwise the estimators in it."""
    part = estimator_node(root)
    if part is not None:
        return [_Candidate(part, root, Member(file), name)]
    return [
        _Candidate(inner, node, Member(file, path), str(path[-1]))
        for path, node in _values(root)
        if (inner := estimator_node(node)) is not None
    ]


def _values(root: Node) -> Iterator[tuple[MemberPath, ObjectNode]]:
    """Yield the objects in a tuple, list or dict, and in nested ones, with their path."""
    waiting: deque[tuple[MemberPath, Node]] = deque()
    if isinstance(root, _COLLECTIONS):
        waiting.append(((), root))
    left = _MAX_VALUES
    while waiting and left > 0:
        path, node = waiting.popleft()
        left -= len(node.keys if isinstance(node, DictNode) else node)
        for key, value in _items(node):
            if isinstance(value, ObjectNode):
                yield (*path, key), value
            elif isinstance(value, _COLLECTIONS) and len(path) < _MAX_DEPTH:
                waiting.append(((*path, key), value))


def _items(node: Node) -> Iterator[tuple[Key, Node]]:
    if isinstance(node, DictNode):
        pairs = zip(node.keys, node.values, strict=True)
        return ((key, value) for key, value in pairs if isinstance(key, str) or type(key) is int)
    return iter(enumerate(node))


def _members(root: Node, estimators: list[_Candidate], count: int) -> list[_Candidate] | None:
    """Return the estimators that rows pass through. None if that is uncertain.

    `count`: of all estimators in the file, label encoders included.
    """
    if len(estimators) == 1:
        return estimators
    is_sequence = isinstance(root, list | tuple) and count == len(root)
    if is_sequence and all(map(_transforms, estimators[:-1])) and not _transforms(estimators[-1]):
        return estimators
    return None


def _transforms(candidate: _Candidate) -> bool:
    part = candidate.part
    if part.last.name in _LABEL_TRANSFORMERS:
        return False
    return part.only_transforms or (part.has("transform") is True and not part.has("predict"))


def _undecided(candidates: list[_Candidate], estimators: list[_Candidate]) -> Composition:
    names = [f"{_text(one.member.path)} ({one.part.name})" for one in candidates[:_MAX_LISTED]]
    more = f" and {len(candidates) - len(names)} more" if len(candidates) > len(names) else ""
    message = f"the file contains {len(candidates)} estimators: {', '.join(names)}{more}"
    return Composition(
        choices=tuple(_text(one.member.path) for one in candidates),
        suggestion=tuple(_text(one.member.path) for one in _suggested(estimators)),
        problem=Finding("several-models", message),
    )


def _suggested(estimators: list[_Candidate]) -> list[_Candidate]:
    """Return the longest chain of fitting transformers, and the estimator that predicts."""
    predictors = [one for one in estimators if not _transforms(one)] or estimators[:1]
    last = next((one for one in predictors if _MODEL.search(one.name)), predictors[0])
    transformers = [one for one in estimators if _transforms(one) and one is not last]
    if len(transformers) > _MAX_ORDERED:
        return [last]
    longest: list[_Candidate] = []
    for count in range(1, len(transformers) + 1):
        for order in permutations(transformers, count):
            if all(_surely_fit(first, then) for first, then in pairwise((*order, last))):
                longest = list(order)
                break
    return [*longest, last]


def _surely_fit(first: _Candidate, then: _Candidate) -> bool:
    width = _width_out(first)
    return width is not None and width == _width_in(then)


def _width_out(candidate: _Candidate) -> int | None:
    """Return the number of values per row that a transformer returns. None if unknown."""
    shape = signature_of(candidate.part).outputs[0].shape
    return shape[0] if len(shape) == 1 and shape[0] >= 0 else None


def _width_in(candidate: _Candidate) -> int | None:
    return len(signature_of(candidate.part).inputs) or None


def _chained(chain: list[_Candidate]) -> Composition:
    members = tuple(one.member for one in chain)
    if len(chain) == 1:
        return Composition(chain[0].part, members)
    problem = next(filter(None, map(_mismatch, chain, chain[1:])), None)
    return Composition(_pipeline(chain), members, problem=problem)


def _mismatch(first: _Candidate, then: _Candidate) -> Finding | None:
    """Return why rows cannot pass from one estimator to the other."""
    if not _can_transform(first):
        message = f"{first.part.name} comes before {then.part.name}, but does not transform rows"
        return Finding("misfit", message)
    (width,) = signature_of(first.part).outputs[0].shape or (-1,)
    takes = len(signature_of(then.part).inputs)
    if width >= 0 and takes and width != takes:
        message = (
            f"{first.part.name} returns {width:,} values per row, but {then.part.name} takes "
            f"{takes:,}"
        )
        return Finding("misfit", message)
    return None


def _can_transform(candidate: _Candidate) -> bool:
    part = candidate.part
    return part.has("transform") is not False and part.last.name not in _LABEL_TRANSFORMERS


def _pipeline(chain: list[_Candidate]) -> EstimatorNode:
    """Return the estimators as a Pipeline of scikit-learn."""
    steps = [(_step_name(one, index), one.node) for index, one in enumerate(chain)]
    return EstimatorNode(Global("sklearn.pipeline:Pipeline", 0, ""), {"steps": steps})


def _step_name(candidate: _Candidate, index: int) -> str:
    """Return the key or file name. For a position, the class, as `make_pipeline` does."""
    is_position = candidate.name == str(index)
    return candidate.part.name.lower() if is_position else candidate.name


def _text(path: MemberPath) -> str:
    """Return a path as a value of `--select`, such as "models.churn"."""
    return ".".join(map(str, path))
