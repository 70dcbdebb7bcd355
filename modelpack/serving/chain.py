"""A model of several objects, such as a vectorizer and the classifier that was fitted on it."""

from __future__ import annotations

from typing import Any, Callable, Sequence


class Chain:
    """Has what its last member has, whose methods get what the others' transform makes of the rows,
    one after the other.
    """

    def __init__(self, members: Sequence[Any]) -> None:
        self.members = list(members)
        *self._transformers, self._last = members

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._last, name)
        return self._after_transformers(value) if callable(value) else value

    def _after_transformers(self, method: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def call(rows: Any) -> Any:
            for transformer in self._transformers:
                rows = transformer.transform(rows)
            return method(rows)

        return call
