"""A model file read as data: nothing of it is executed, nothing that it names is imported.

spec = inspect("model.pkl")
require_servable(spec)
"""

from __future__ import annotations

from .isolation import inspect
from .policy import (
    is_unreadable,
    is_unsupported,
    require_categories,
    require_servable,
    with_trusted,
)

__all__ = [
    "inspect",
    "is_unreadable",
    "is_unsupported",
    "require_categories",
    "require_servable",
    "with_trusted",
]
