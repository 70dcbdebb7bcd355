"""The environment of a model: a Python version, and all distributions pinned and hashed."""

from modelpack.platforms import require_platform

from . import wheelhouse
from .index import index_settings, redacted, unsupported_settings
from .python_versions import candidate_pythons, require_python
from .resolver import SERVING, require_index, resolve, service_requirements
from .warnings import PythonCause

__all__ = [
    "SERVING",
    "PythonCause",
    "candidate_pythons",
    "index_settings",
    "redacted",
    "require_index",
    "require_platform",
    "require_python",
    "resolve",
    "service_requirements",
    "unsupported_settings",
    "wheelhouse",
]
