"""ModelSpec -> Environment: a Python version, and every distribution pinned and hashed."""

from modelpack.platforms import require_platform

from . import wheelhouse
from .index import index_settings, redacted, unsupported_settings
from .resolver import SERVING, reach, resolve
from .versions import python_versions, require_python

__all__ = [
    "SERVING",
    "index_settings",
    "python_versions",
    "reach",
    "redacted",
    "require_platform",
    "require_python",
    "resolve",
    "unsupported_settings",
    "wheelhouse",
]
