"""ModelSpec -> Environment: a Python version, and every distribution pinned and hashed."""

from .index import index_settings, redacted
from .releases import python_versions
from .resolver import SERVING, reach, resolve

__all__ = ["SERVING", "index_settings", "python_versions", "reach", "redacted", "resolve"]
