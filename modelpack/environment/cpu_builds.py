"""Builds without GPU support that an index marks by a local version, such as torch 2.13.0+cpu.

PyPI has torch for x86_64 only with CUDA. PyTorch's own indexes have builds for processors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from packaging.requirements import Requirement
from packaging.version import Version

from modelpack.errors import EnvironmentNotResolvedError
from modelpack.types import ModelSpec

from .requirements import canonical, pin, pinned_version

MARKED = {"torch": "cpu"}
"""Distribution -> the local version of its build for processors."""

_OF_CUDA = ("nvidia-", "cuda-", "triton")
_COMPUTES_WITH = {"keras": "torch", "torch": "torch"}
"""Framework -> the distribution that computes its predictions."""
WITH_CUDA = frozenset(_COMPUTES_WITH)
"""Distributions that may need libraries of CUDA, which others are installed without."""
INDEX = "https://download.pytorch.org/whl/cpu"


def require_version(spec: ModelSpec, user: Iterable[Requirement]) -> None:
    """Check that the file or the user names the version of PyTorch.

    Raises:
        EnvironmentNotResolvedError: Neither does. TorchScript records none.
    """
    name = spec.framework or ""
    if name not in MARKED or spec.framework_version or name in spec.recorded:
        return
    if not any(canonical(each) == name and pinned_version(each) for each in user):
        raise EnvironmentNotResolvedError(
            f"The file records no version of {name}, and another one may compute other numbers or"
            " not read it.",
            hint=f"Name the version that saved it: --requirement {name}==VERSION",
        )


def with_cpu_builds(requirements: Iterable[Requirement]) -> tuple[Requirement, ...]:
    """Return the requirements with the build for processors of each pinned version."""
    return tuple(map(_with_cpu_build, requirements))


def _with_cpu_build(requirement: Requirement) -> Requirement:
    local, version = MARKED.get(canonical(requirement)), pinned_version(requirement)
    is_plain = not requirement.extras and not requirement.marker
    if local is None or version is None or version.local or not is_plain:
        return requirement
    return pin(requirement.name, f"{version}+{local}")


def require_cpu_build(spec: ModelSpec, pins: Mapping[str, str]) -> None:
    """Check that a model of PyTorch or Keras gets a build without CUDA.

    Raises:
        EnvironmentNotResolvedError: The lock contains libraries of CUDA.
    """
    name = _COMPUTES_WITH.get(spec.framework or "", "")
    cuda_names = [each for each in pins if each.startswith(_OF_CUDA)]
    if name not in pins or not cuda_names:
        return
    version = Version(pins[name]).public
    raise EnvironmentNotResolvedError(
        f"The package index has {name} {version} only with CUDA, which needs {len(cuda_names)} more"
        f" distributions ({', '.join(cuda_names[:2])}, ...) of several gigabytes. Images of"
        " modelpack use no GPU.",
        hint=f"Add an index with {name} {version}+{MARKED[name]}, such as PyTorch's own:"
        f" UV_INDEX={INDEX} modelpack package ...",
    )
