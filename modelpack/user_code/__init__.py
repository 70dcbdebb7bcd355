"""The modules of the author: found and parsed, never executed.

code = find(spec, Given(paths=(Path("src"),)))
    spec = needing(spec, code)

Files are parsed and copied, never executed.
"""

from __future__ import annotations

from dataclasses import replace

from modelpack.types import Code, ModelSpec, Signature

from .find import CodeOptions, find_code
from .messages import notices, origin, require_found, with_code_hint

__all__ = [
    "CodeOptions",
    "find_code",
    "notices",
    "origin",
    "require_found",
    "with_code_hint",
    "with_code_requirements",
]


def with_code_requirements(spec: ModelSpec, code: Code) -> ModelSpec:
    """The spec of a model that needs what the code needs, too; what the file says comes first."""
    bounds = [bound for bound in (spec.python, code.python) if bound]
    return replace(
        spec,
        requirements={**code.requirements, **spec.requirements},
        reasons={**code.reasons, **spec.reasons},
        python=",".join(bounds) or None,
        signature=_signature(spec, code),
    )


def _signature(spec: ModelSpec, code: Code) -> Signature:
    """The signature with probabilities if the author's own classifier has them.

    The file has the labels of the classes, and only the code has the methods.
    """
    is_pipeline = bool(spec.steps) and (spec.estimator or "").endswith(".Pipeline")
    last = spec.steps[-1].type if is_pipeline else spec.estimator
    has_method = last in {key.replace(":", ".") for key in code.probabilistic}
    if not has_method or spec.signature.classes is None:
        return spec.signature
    return replace(spec.signature, probabilities=True)
