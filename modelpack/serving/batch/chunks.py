"""Some rows of a file, as they stand in it."""

from __future__ import annotations

from typing import Any, Collection, Sequence

from ..columns import Rows
from ..extras import Extras
from ..service import Service


class Chunk:
    """`lines`: where in the file each row begins, from 1; None in files without lines."""

    lines: Sequence[int] | None = None

    def __len__(self) -> int:
        raise NotImplementedError

    def decode(self, service: Service, extra: Collection[str], ignored: Extras = None) -> Rows:
        """The rows as the model takes them. `extra`: names of what is no input of the model and is
        kept from it. `ignored`: as in `Service.table`.

        Raises:
            Problem: as `Service.rows`; a row is told by its index here.
        """
        raise NotImplementedError

    def take(self, indexes: Sequence[int]) -> Chunk:
        """Only these rows, in their order."""
        raise NotImplementedError

    @property
    def names(self) -> list[str] | None:
        """Of the columns; None where rows are values in order."""
        return None

    def values(self, index: int, name: str) -> Any:
        """One column, an array or a list: by its name where there are names, else its position."""
        raise NotImplementedError


def taken(values: Any, indexes: Sequence[int]) -> Any:
    """These of some values; None of None."""
    return None if values is None else [values[index] for index in indexes]
