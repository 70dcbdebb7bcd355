"""Names with spaces, which LightGBM replaces by "_" in all releases, in the names of inputs.

LightGBM accepts the original names for predictions, as it takes columns by position. Other white
space stays as it is, and names with special characters of JSON or line breaks are errors. See
`Dataset::set_feature_names` of LightGBM.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import dropwhile

from modelpack.types import Estimator, ModelSpec

from .row_files import Table

_REPLACEMENT = "_"
_PASSING = ("passthrough", "sklearn.preprocessing._function_transformer.", "imblearn.")
"""Steps that keep the columns. Those that record names record the original ones."""


def with_spaces(spec: ModelSpec, table: Table) -> ModelSpec:
    """Return the spec with the names of the table for inputs that LightGBM has renamed.

    A name that the table also contains, or that two of its columns would get, stays unchanged.
    """
    if not (table.columns and spec.signature.named and has_names_of_lightgbm(spec)):
        return spec
    originals = defaultdict(list)
    for name in table.columns:
        originals[name.replace(" ", _REPLACEMENT)].append(name)
    inputs = tuple(
        replace(field, name=found[0]) if len(found) == 1 else field
        for field in spec.signature.inputs
        for found in (originals.get(field.name, ()),)
    )
    return replace(spec, signature=replace(spec.signature, inputs=inputs))


def has_names_of_lightgbm(spec: ModelSpec) -> bool:
    """Return whether LightGBM is the first part of the model that records names."""
    behind = dropwhile(lambda step: step.type.startswith(_PASSING), spec.steps)
    return spec.framework == "lightgbm" or first_step(tuple(behind)).startswith("lightgbm.")


def first_step(steps: Sequence[Estimator]) -> str:
    """Return the class of the first step that contains no steps; "" without steps."""
    while steps and steps[0].steps:
        steps = steps[0].steps
    return steps[0].type if steps else ""
