"""A model together with its author's code: what both need."""

from __future__ import annotations

from dataclasses import replace

from ..spec import Code, ModelSpec


def needing(spec: ModelSpec, code: Code) -> ModelSpec:
    """The spec of a model that needs what the code needs, too; what the file says comes first."""
    bounds = [bound for bound in (spec.python, code.python) if bound]
    return replace(
        spec,
        requirements={**code.requirements, **spec.requirements},
        reasons={**code.reasons, **spec.reasons},
        python=",".join(bounds) or None,
    )
