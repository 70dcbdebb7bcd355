"""ModelSpec -> Reference: rows, and what the author's model says of them."""

from __future__ import annotations

from .model import completed, question
from .sources import Sources, prepare

__all__ = ["Sources", "completed", "prepare", "question"]
