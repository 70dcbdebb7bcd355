"""What the encoders of category_encoders tell of each column that goes in."""

from __future__ import annotations

from ..arrays import view
from ..nodes import Node
from .columns import Columns
from .frames import axes
from .parts import Part, as_dict, attributes, column_names

_TAKES_MISSING = {"value", "indicator"}


def categorical(part: Part, columns: Columns) -> bool:
    """Tell the columns; whether they come out one by one, what is encoded in its old place."""
    by_name = {column.name: column for column in columns}
    encoded = set(column_names(part.get("cols")) or ())
    for column in columns:
        if column.name in encoded:
            column.type = column.type or "string"
            column.nullable = part.text("handle_missing") in _TAKES_MISSING
    for name, labels in _mappings(part):
        if name in encoded and name in by_name:
            by_name[str(name)].category(labels)
    return part.number("_dim") == len(columns)


def _mappings(part: Part) -> list[tuple[Node, list[Node]]]:
    """Of each column its name and labels: an OrdinalEncoder keeps a pandas Series of them, and most
    encoders keep an OrdinalEncoder.
    """
    inner = part.get("ordinal_encoder")
    told = attributes(inner).get("mapping") if inner is not None else part.get("mapping")
    found = []
    for node in told if isinstance(told, list) else []:
        facts = as_dict(node)
        labels = axes(facts.get("mapping"))
        array = view(labels[0]) if labels else None
        found.append((facts.get("col"), (array.values() if array else None) or []))
    return found
