"""What is recorded. Each part is a function of the checkout, the settings and a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from checkout import Checkout

from . import bundles, documents, errors, exchanges, help_texts, ids, imports, predictions
from .settings import Settings

PARTS: dict[str, Callable[[Checkout, Settings, Path], None]] = {
    "errors": errors.record,
    "help": help_texts.record,
    "json": documents.record,
    "bundles": bundles.record,
    "ids": ids.record,
    "http": exchanges.record,
    "imports": imports.record,
    "predict": predictions.record,
}

__all__ = ["PARTS", "Settings"]
