"""Which of the objects in a model's files the rows pass through, and in which order.

A file may hold one estimator, or a tuple, list or dict of objects; and a model may lie in several
files. Several estimators in a row are a pipeline, and described as one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from modelpack.errors import UsageError
from modelpack.spec import Finding, Member

from .facts.parts import Part, as_part
from .facts.signature import signature
from .nodes import Dct, Global, Node, Obj

_COLLECTIONS = (Dct, list, tuple)
Key = str | int
Path = tuple[Key, ...]

_DEEPEST = 3
_MOST_VALUES = 1_000_000
_MOST_TOLD = 8
_OF_LABELS = {"LabelEncoder", "LabelBinarizer", "MultiLabelBinarizer"}
"""What transforms the labels of rows, and no rows."""


@dataclass(frozen=True)
class Composition:
    """`root`: what the rows pass through, as one estimator; None where there is none, or none to
    choose. `choices`: what `select` may name. `problem`: why there is no root, where that has to be
    said.
    """

    root: Part | None = None
    members: tuple[Member, ...] = (Member(),)
    choices: tuple[str, ...] = ()
    problem: Finding | None = None


@dataclass(frozen=True)
class _Found:
    """An estimator, the node that it was read from, and where it lies."""

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
    for index, root in enumerate(roots):
        found = _found(index, root, names[index])
        if not found:
            return Composition()
        members = _members(root, found)
        if members is None:
            return _undecided(found)
        chain += members
    return _chained(chain)


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
    composed = _chained([found[name] for name in select])
    return Composition(composed.root, composed.members, tuple(found), composed.problem)


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
    waiting: deque[tuple[Path, Node]] = deque([((), root)])
    left = _MOST_VALUES
    while waiting and left > 0:
        path, node = waiting.popleft()
        held = _held(node)
        left -= len(held)
        for key, value in held:
            if isinstance(value, Obj):
                yield (*path, key), value
            elif isinstance(value, _COLLECTIONS) and len(path) < _DEEPEST:
                waiting.append(((*path, key), value))


def _held(node: Node) -> list[tuple[Key, Node]]:
    if isinstance(node, list | tuple):
        return list(enumerate(node))
    if not isinstance(node, Dct):
        return []
    pairs = zip(node.keys, node.values, strict=True)
    return [(key, value) for key, value in pairs if isinstance(key, str) or type(key) is int]


def _members(root: Node, found: list[_Found]) -> list[_Found] | None:
    """Those that the rows pass through; None where the file does not tell."""
    if len(found) == 1:
        return found
    is_sequence = isinstance(root, list | tuple) and len(found) == len(root)
    if is_sequence and all(map(_transforms, found[:-1])) and not _transforms(found[-1]):
        return found
    return None


def _transforms(found: _Found) -> bool:
    part = found.part
    if part.last.name in _OF_LABELS:
        return False
    return part.only_transforms or (part.has("transform") is True and not part.has("predict"))


def _undecided(found: list[_Found]) -> Composition:
    told = [f"{_text(one.member.path)} ({one.part.name})" for one in found[:_MOST_TOLD]]
    more = f" and {len(found) - len(told)} more" if len(found) > len(told) else ""
    message = f"the file holds {len(found)} estimators: {', '.join(told)}{more}"
    choices = tuple(_text(one.member.path) for one in found)
    return Composition(choices=choices, problem=Finding("several-models", message))


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
