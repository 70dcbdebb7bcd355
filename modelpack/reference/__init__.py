"""ModelSpec -> Reference: rows, and what the author's model says of them."""

from __future__ import annotations

from .model import completed, question, said
from .shared import Misfit, share
from .sources import Sources, prepare

__all__ = ["Misfit", "Sources", "completed", "prepare", "question", "said", "share"]
