"""Bounds on values that are shared.

A pickle writes a value once and refers to it by its number as often as it likes. Checks visit an
object with all that it holds, so the work for a short file could have no bound: 10,000 estimators
with one list of 10,000 steps are 100 million steps. Here all values are counted once, in linear
time, before anything is checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from . import limits
from .contracts import is_constructed
from .nodes import COMPOSITE, Malformed, Node, ObjectNode, children

_SHARED = "few values stand for very many"


class Walk:
    """A walk over composite nodes that visits each of them once.

    It computes two sizes of each node. The deep one counts all values below it, each as often
    as it is reached. The shallow one ends at objects with a class of their own and at dtypes: as
    much is visited by a check that does not descend into members.
    """

    def __init__(self) -> None:
        self._deep: dict[int, int] = {}
        self._shallow: dict[int, int] = {}
        self._written = 0
        self._held = 0  # by objects, each value counted for each object

    def below(self, root: Node) -> Iterator[Node]:
        """Yield the composite nodes below `root` that were not visited yet, children first.

        Raises:
            Malformed: The values are nested too deeply, or few of them stand for very many.
        """
        stack: list[tuple[Node, int, int, list[Node] | None]] = [(root, 0, 0, None)]
        while stack:
            node, level, count, inner = stack.pop()
            if inner is not None:
                self._leave(node, count, inner)
                yield node
            elif id(node) not in self._deep:
                _check(level <= limits.DEPTH, f"values are nested over {limits.DEPTH} levels deep")
                # A value that holds itself ends here.
                self._deep[id(node)] = self._shallow[id(node)] = 0
                count, inner = self._enter(node)
                stack.append((node, level, count, inner))
                more = (child for child in reversed(inner) if id(child) not in self._deep)
                stack.extend((child, level + 1, 0, None) for child in more)

    def finish(self, objects: Iterable[ObjectNode]) -> None:
        """Visit the objects that were not visited yet, and compare what all of them hold.

        Raises:
            Malformed: As for `below`.
        """
        for made in objects:
            if id(made) not in self._deep:
                for _ in self.below(made):
                    pass
        _check(self._held <= limits.HELD_FLOOR + limits.HELD * self._written, _SHARED)

    def _enter(self, node: Node) -> tuple[int, list[Node]]:
        """Count the values that a node holds, and return the composite ones."""
        held = children(node)
        self._written += len(held)
        # Most values of large files are scalars, and their types are compared faster than they.
        composite = {kind for kind in set(map(type, held)) if issubclass(kind, COMPOSITE)}
        inner = [child for child in held if type(child) in composite] if composite else []
        return len(held), inner

    def _leave(self, node: Node, count: int, inner: list[Node]) -> None:
        deep = len(inner) + 1 + sum([self._deep[id(child)] for child in inner])
        _check(deep <= limits.REPEATS * (self._written + 1_000), _SHARED)
        shallow = count + 1 + sum([self._shallow[id(child)] for child in inner])
        if isinstance(node, ObjectNode):
            self._held += shallow
            shallow = 1 if is_constructed(node) or node.dtype is not None else shallow
        self._deep[id(node)], self._shallow[id(node)] = deep, shallow


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise Malformed("limit", message)
