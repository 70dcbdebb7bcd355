"""The estimators of the files of a model as one.

A file contains one estimator, or a tuple, list or dict of objects. A model may consist of several
files. Several estimators in sequence are described as one pipeline.
"""

from __future__ import annotations

import shlex
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from modelpack.errors import UsageError
from modelpack.types import Finding, Member

from .facts.estimators import EstimatorNode, estimator_node
from .native_member import NativeMember
from .nodes import DictNode, Global, Node, ObjectNode
from .order import (
    CLASS_ENCODER,
    Candidate,
    binarizers_of_outputs,
    can_invert,
    can_transform,
    mismatch,
    objection,
    only_order,
    printable,
    suggested,
    target_transformer,
    transforms,
    width_in,
    width_out,
)

_COLLECTIONS = (DictNode, list, tuple)
Key = str | int
MemberPath = tuple[Key, ...]

_MAX_DEPTH = 3
_MAX_VALUES = 1_000_000
_MAX_LISTED = 8


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
        binarizers: Binarizers of the labels with their keys.
        target: The location of the transformer whose inverse is applied to the predictions.
        notices: Sentences about the order of the estimators, and about those that were left out.
    """

    root: EstimatorNode | None = None
    members: tuple[Member, ...] = (Member(),)
    choices: tuple[str, ...] = ()
    suggestion: tuple[str, ...] = ()
    problem: Finding | None = None
    encoders: tuple[tuple[str, EstimatorNode], ...] = ()
    encoder_selected: bool = False
    binarizers: tuple[tuple[str, EstimatorNode], ...] = ()
    target: Member | None = None
    notices: tuple[str, ...] = ()


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
    chain: list[Candidate] = []
    encoders: list[Candidate] = []
    encoder_selected = False
    binarizers: list[Candidate] = []
    target: Candidate | None = None
    notices: list[str] = []
    for index, root in enumerate(roots):
        is_behind = native is not None and index > native.position
        if native is not None and index == native.position:
            continue
        candidates = _find_estimators(index, root, names[index])
        if not candidates:
            return Composition() if native is None else Composition(members=())
        estimators = [one for one in candidates if one.part.name != CLASS_ENCODER] or candidates
        follows = bool(chain) or is_behind
        if estimators is candidates and follows and candidates[0].part.name == CLASS_ENCODER:
            estimators, encoder_selected = [], True  # labels of the preceding estimators
        elif native is not None and is_behind:
            return Composition(members=(), problem=native.comes_before(estimators[0].part.name))
        passed = set(estimators)
        encoders += [one for one in candidates if one not in passed]
        binarizing = binarizers_of_outputs(estimators)
        binarizers += binarizing
        estimators = [one for one in estimators if one not in binarizing]
        if native is None and target is None and (target := target_transformer(estimators)):
            estimators = [one for one in estimators if one.node is not target.node]
            notices.append(_target_notice(target))
        if len(estimators) > 1 and not _are_in_order(root, estimators, len(candidates)):
            if (found := only_order(estimators)) is None:
                return _undecided(candidates, estimators)
            estimators = found
            notices.append(_order_notice(found))
        chain += estimators
    composition = _composed(chain, native)
    if composition.problem and len(chain) + len(encoders) + bool(native) == len(roots):
        composition = _reordered(composition, [*chain, *encoders], native)
    return replace(
        composition,
        encoders=_by_key(encoders),
        encoder_selected=encoder_selected,
        binarizers=_by_key(binarizers),
        target=target.member if target else None,
        notices=tuple(notices),
    )


def _target_notice(target: Candidate) -> str:
    return f"Predictions are converted back by the inverse of {printable(target)}."


def _composed(chain: list[Candidate], native: NativeMember | None) -> Composition:
    return _chained(chain) if native is None else _chained_before(chain, native)


def _reordered(
    composition: Composition, candidates: list[Candidate], native: NativeMember | None
) -> Composition:
    """Return a composition of misplaced files with the order that fits, if one does.

    Its problem is then `file-order`, and its members have that order.

    Args:
        composition: In the order of the files.
        candidates: The only estimator of each file.
        native: The model of the file that is not a pickle.
    """
    labels = [one for one in candidates if one.part.name == CLASS_ENCODER]
    chain = [one for one in candidates if one.part.name != CLASS_ENCODER]
    if native is None and chain:
        chain = suggested(chain)
    is_complete = len(chain) + len(labels) == len(candidates) and len(labels) <= 1
    predicts = native is not None or (bool(chain) and not transforms(chain[-1]))
    if not (is_complete and predicts) or _composed(chain, native).problem:
        return composition
    members = [*(one.member for one in chain), *([Member(native.position)] if native else [])]
    members += [one.member for one in labels]
    message = composition.problem.message if composition.problem else ""
    return replace(composition, members=tuple(members), problem=Finding("file-order", message))


def _chained_before(chain: list[Candidate], native: NativeMember) -> Composition:
    """Return the composition of transformers and the native model behind them, or of it alone."""
    own = Member(native.position)
    if not chain:
        return Composition(None, (own,))
    composition = _chained(chain)
    last = chain[-1]
    problem = composition.problem
    if problem is None:
        problem = native.mismatch(last.part.name, width_out(last), transforms=can_transform(last))
    return replace(composition, members=(*composition.members, own), problem=problem)


def _by_key(encoders: Sequence[Candidate]) -> tuple[tuple[str, EstimatorNode], ...]:
    return tuple((one.text or one.name, one.part) for one in encoders)


def _selected(roots: Sequence[Node], select: Sequence[str]) -> Composition:
    if len(roots) > 1:
        raise UsageError(
            "--select takes an estimator from one file, but there are several files.",
            hint="Give either one file and --select, or one file for each estimator.",
        )
    by_name = {one.text: one for one in _find_estimators(0, roots[0], "model")}
    unknown = [name for name in select if name not in by_name]
    if unknown:
        raise UsageError(
            f"The file contains no estimator at {unknown[0]!r}.",
            hint=f"Estimators in the file: {repr(', '.join(filter(None, by_name)))[1:-1]}."
            if any(by_name)
            else "Leave out --select: the file is not a collection of estimators.",
        )
    selected = [by_name[name] for name in select]
    chain = [one for one in selected if one.part.name != CLASS_ENCODER] or selected
    taken = set(chain)
    target = None
    if len(chain) > 1 and transforms(chain[-1]) and can_invert(chain[-1], chain[-2]):
        *chain, target = chain
    encoders = [one for one in selected if one not in taken]
    encoder_selected = bool(encoders)
    if not encoder_selected:
        encoders = [one for one in by_name.values() if one.part.name == CLASS_ENCODER]
    return replace(
        _chained(chain),
        choices=tuple(by_name),
        encoders=_by_key(encoders),
        encoder_selected=encoder_selected,
        target=target.member if target else None,
        notices=(
            *([_target_notice(target)] if target else []),
            *_left_out([*chain, *([target] if target else [])], list(by_name.values())),
        ),
    )


def _left_out(chain: Sequence[Candidate], candidates: Sequence[Candidate]) -> Iterator[str]:
    """Yield a notice for each transformer that is not selected: the author may have applied it."""
    selected = set(chain)
    for one in candidates:
        if one in selected or not transforms(one):
            continue
        width = width_out(one)
        if width is not None and width == width_in(chain[0]):
            options = " ".join(f"--select {_option(each)}" for each in (one, *chain))
            yield (
                f"{printable(one)} is not selected, but returns as many values per row as "
                f"{printable(chain[0])} takes. If rows pass through it first, give {options}."
            )
        else:
            yield (
                f"{printable(one)} is not selected, and is not applied to rows or predictions. If "
                "training applied it, save one pipeline that contains it."
            )


def _option(candidate: Candidate) -> str:
    return shlex.quote(repr(candidate.text)[1:-1])


def _find_estimators(file: int, root: Node, name: str) -> list[Candidate]:
    """Return the root if it is an estimator, otherwise the estimators in it."""
    part = estimator_node(root)
    if part is not None:
        return [Candidate(part, root, Member(file), name)]
    return [
        Candidate(inner, node, Member(file, path), str(path[-1]))
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


def _are_in_order(root: Node, estimators: list[Candidate], count: int) -> bool:
    """Return whether a list or tuple contains only transformers, and behind them a model.

    `count`: of all estimators in the file, label encoders included.
    """
    is_sequence = isinstance(root, list | tuple) and count == len(root)
    *first, last = estimators
    return is_sequence and all(map(transforms, first)) and not transforms(last)


def _order_notice(chain: list[Candidate]) -> str:
    """Return the notice on estimators in an order that the file does not state."""
    if len(chain) == 1:
        return f"The other estimators in the file are parts or copies of {printable(chain[0])}."
    return (
        f"Rows pass through {', then '.join(map(printable, chain))}: no other order fits. "
        "To choose other estimators, give --select."
    )


def _undecided(candidates: list[Candidate], estimators: list[Candidate]) -> Composition:
    names = [f"{one.text} ({one.part.name})" for one in candidates[:_MAX_LISTED]]
    more = f" and {len(candidates) - len(names)} more" if len(candidates) > len(names) else ""
    reason = objection(estimators)
    message = f"the file contains {len(candidates)} estimators: {', '.join(names)}{more}"
    message += f"; {reason}" if reason else ""
    return Composition(
        choices=tuple(one.text for one in candidates),
        suggestion=tuple(one.text for one in suggested(estimators)),
        problem=Finding("several-models", message),
    )


def _chained(chain: list[Candidate]) -> Composition:
    members = tuple(one.member for one in chain)
    if len(chain) == 1:
        return Composition(chain[0].part, members)
    problem = next(filter(None, map(mismatch, chain, chain[1:])), None)
    return Composition(_pipeline(chain), members, problem=problem)


def _pipeline(chain: list[Candidate]) -> EstimatorNode:
    """Return the estimators as a Pipeline of scikit-learn."""
    steps = [(_step_name(one, index), one.node) for index, one in enumerate(chain)]
    return EstimatorNode(Global("sklearn.pipeline:Pipeline", 0, ""), {"steps": steps})


def _step_name(candidate: Candidate, index: int) -> str:
    """Return the key or file name. For a position, the class, as `make_pipeline` does."""
    is_position = candidate.name == str(index)
    return candidate.part.name.lower() if is_position else candidate.name
