"""modelpack: a saved model in, a small tested container image out."""

from __future__ import annotations

from modelpack._version import __version__

__all__ = ["__version__"]
