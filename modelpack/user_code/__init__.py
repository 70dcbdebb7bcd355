"""The author's own modules: found, parsed and copied, never executed.

code = find_code(spec, CodeOptions(paths=(Path("src"),)))
spec = with_code_requirements(spec, code)
"""

from __future__ import annotations

from dataclasses import replace

from modelpack.types import Code, ModelSpec, Signature

from .find import CodeOptions, find_code, has_startup
from .messages import notices, origin, require_found, with_code_hint
from .modules import require_paths

__all__ = [
    "CodeOptions",
    "find_code",
    "has_startup",
    "notices",
    "origin",
    "require_found",
    "require_paths",
    "with_code_hint",
    "with_code_requirements",
]


def with_code_requirements(spec: ModelSpec, code: Code) -> ModelSpec:
    """Add the requirements of the code to those of the model. The model's take precedence."""
    bounds = [bound for bound in (spec.python, code.python) if bound]
    return replace(
        spec,
        requirements={**code.requirements, **spec.requirements},
        reasons={**code.reasons, **spec.reasons},
        python=",".join(bounds) or None,
        signature=_signature(spec, code),
    )


def _signature(spec: ModelSpec, code: Code) -> Signature:
    """Add probabilities if the author's classifier has them: only the code contains its methods."""
    is_pipeline = bool(spec.steps) and (spec.estimator or "").endswith(".Pipeline")
    last = spec.steps[-1].type if is_pipeline else spec.estimator
    has_method = last in {key.replace(":", ".") for key in code.probabilistic}
    if not has_method or spec.signature.classes is None:
        return spec.signature
    return replace(spec.signature, probabilities=True)
