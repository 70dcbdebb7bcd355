"""Limits of shared values.

A pickle writes a value once and can refer to it any number of times. Checks visit an object with
its contents, so a short file could cause unlimited work: 10,000 estimators that share a list of
10,000 steps have 100 million steps. All values are therefore counted once, in linear time, before
the checks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from . import limits
from .contracts import is_constructed
from .nodes import COMPOSITE, Node, ObjectNode, children, require

_SHARED = "a few values are shared very many times"


class Walk:
    """A walk over composite nodes that visits each of them once.

    It computes two sizes of each node. The deep size counts all values below it, once per path. The
    shallow size ends at instances and dtypes, like a check that does not descend into members.
    """

    def __init__(self) -> None:
        self._deep: dict[int, int] = {}
        self._shallow: dict[int, int] = {}
        self._written = 0
        self._held = 0  # by objects, each value counted for each object

    def below(self, root: Node) -> Iterator[Node]:
        """Yield the composite nodes below `root` that were not visited yet, children first.

        Raises:
            Malformed: The values are nested too deeply, or a few are shared very many times.
        """
        stack: list[tuple[Node, int, int, list[Node] | None]] = [(root, 0, 0, None)]
        while stack:
            node, level, count, inner = stack.pop()
            if inner is not None:
                self._leave(node, count, inner)
                yield node
            elif id(node) not in self._deep:
                _check(level <= limits.DEPTH, f"values are nested over {limits.DEPTH} levels deep")
                # A value that contains itself ends here.
                self._deep[id(node)] = self._shallow[id(node)] = 0
                count, inner = self._enter(node)
                stack.append((node, level, count, inner))
                more = (child for child in reversed(inner) if id(child) not in self._deep)
                stack.extend((child, level + 1, 0, None) for child in more)

    def finish(self, objects: Iterable[ObjectNode]) -> None:
        """Visit the objects that were not visited yet, and check the total size of all objects.

        Raises:
            Malformed: As for `below`.
        """
        for node in objects:
            if id(node) not in self._deep:
                for _ in self.below(node):
                    pass
        _check(self._held <= limits.HELD_FLOOR + limits.HELD * self._written, _SHARED)

    def _enter(self, node: Node) -> tuple[int, list[Node]]:
        """Return the number of values in a node, and the composite ones."""
        members = children(node)
        self._written += len(members)
        # Most values of large files are scalars. A set of their types is faster than a loop.
        composite = {kind for kind in set(map(type, members)) if issubclass(kind, COMPOSITE)}
        inner = [child for child in members if type(child) in composite] if composite else []
        return len(members), inner

    def _leave(self, node: Node, count: int, inner: list[Node]) -> None:
        deep = len(inner) + 1 + sum([self._deep[id(child)] for child in inner])
        _check(deep <= limits.REPEATS * (self._written + 1_000), _SHARED)
        shallow = count + 1 + sum([self._shallow[id(child)] for child in inner])
        if isinstance(node, ObjectNode):
            self._held += shallow
            shallow = 1 if is_constructed(node) or node.dtype is not None else shallow
        self._deep[id(node)], self._shallow[id(node)] = deep, shallow


def _check(condition: bool, message: str) -> None:
    require(condition, message, "limit")
