"""Facts that pipelines of PyCaret record: versions of the training, and the target."""

from __future__ import annotations

import re

from packaging.version import InvalidVersion, Version

from ..nodes import Node
from .distributions import DISTRIBUTIONS
from .estimators import EstimatorNode, as_dict

_VERSIONS = "_pycaret_versions"
_TARGETS = ("target_name_", "target")

_NAMES = DISTRIBUTIONS | {
    name: name
    for name in (
        "cloudpickle", "deprecation", "ipython", "ipywidgets", "kaleido", "matplotlib", "plotly",
        "plotly-resampler", "psutil", "pyod", "requests", "schemdraw", "tbats", "tqdm", "wurlitzer",
        "xxhash", "yellowbrick",
    )
} | {"IPython": "ipython", "scikitplot": "scikit-plot"}  # fmt: skip
"""Module or distribution, as PyCaret names it -> the distribution. Other names are ignored."""

_PYTHON = re.compile(r"(3\.\d{1,2})\.\d{1,3}", re.ASCII)


def environment(root: EstimatorNode) -> tuple[dict[str, str], str | None]:
    """Return distribution -> version, and the Python version ("3.11"), which PyCaret 3 records."""
    recorded = as_dict(root.attributes.get(_VERSIONS))
    versions = {
        _NAMES[name]: version
        for name, value in as_dict(recorded.get("deps_info")).items()
        if name in _NAMES and (version := _version(value))
    }
    text = as_dict(recorded.get("python")).get("version")
    match = _PYTHON.fullmatch(text) if isinstance(text, str) else None
    return versions, match[1] if match else None


def targets(part: EstimatorNode) -> set[str]:
    """Return the names of the target, which a pipeline lists among its inputs."""
    found = {each.text(name) for each in (part, *part.parts) for name in _TARGETS}
    return found - {""}


def _version(value: Node) -> str | None:
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        version = Version(value)
    except InvalidVersion:  # "Not installed"
        return None
    return None if version.local or version.is_devrelease else str(version)
