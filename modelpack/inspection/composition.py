"""Which of the objects in a model's files the rows pass through, and in which order.

A file may hold one estimator, or a tuple, list or dict of objects; and a model may lie in several
files. Several estimators in a row are a pipeline, and described as one.
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

from .facts.parts import Part, as_part
from .facts.signature import signature
from .nodes import Dct, Global, Node, Obj

_COLLECTIONS = (Dct, list, tuple)
Key = str | int
Path = tuple[Key, ...]

_DEEPEST = 3
_MOST_VALUES = 1_000_000
_MOST_TOLD = 8
_MOST_ORDERED = 4
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

    root: Part | None = None
    members: tuple[Member, ...] = (Member(),)
    choices: tuple[str, ...] = ()
    suggestion: tuple[str, ...] = ()
    problem: Finding | None = None
    encoders: tuple[tuple[str, Part], ...] = ()
    chose: bool = False
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Found:
    """An estimator, the node that it was read from, and where it is located."""

    part: Part
    node: Obj
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


def _by_key(encoders: Sequence[_Found]) -> tuple[tuple[str, Part], ...]:
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
    part = as_part(root)
    if part is not None:
        return [_Found(part, root, Member(file), name)]
    return [
        _Found(inner, node, Member(file, path), str(path[-1]))
        for path, node in _values(root)
        if (inner := as_part(node)) is not None
    ]


def _values(root: Node) -> Iterator[tuple[Path, Obj]]:
    """The objects that a tuple, list or dict holds, and that those inside it hold, by key and
    position; at most so many values are looked at.
    """
    waiting: deque[tuple[Path, Node]] = deque()
    if isinstance(root, _COLLECTIONS):
        waiting.append(((), root))
    left = _MOST_VALUES
    while waiting and left > 0:
        path, node = waiting.popleft()
        left -= len(node.keys if isinstance(node, Dct) else node)
        for key, value in _held(node):
            if isinstance(value, Obj):
                yield (*path, key), value
            elif isinstance(value, _COLLECTIONS) and len(path) < _DEEPEST:
                waiting.append(((*path, key), value))


def _held(node: Node) -> Iterator[tuple[Key, Node]]:
    if isinstance(node, Dct):
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
    told = [f"{_text(one.member.path)} ({one.part.name})" for one in found[:_MOST_TOLD]]
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
    if len(transformers) > _MOST_ORDERED:
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


def _pipeline(chain: list[_Found]) -> Part:
    """The estimators in a row, as scikit-learn's Pipeline would hold them."""
    steps = [(_step_name(found, index), found.node) for index, found in enumerate(chain)]
    return Part(Global("sklearn.pipeline:Pipeline", 0, ""), {"steps": steps})


def _step_name(found: _Found, index: int) -> str:
    """Its key or file; of a position in a tuple, its class, as `make_pipeline` does."""
    is_position = found.name == str(index)
    return found.part.name.lower() if is_position else found.name


def _text(path: Path) -> str:
    """A path as `--select` takes it: "models.churn"."""
    return ".".join(map(str, path))
