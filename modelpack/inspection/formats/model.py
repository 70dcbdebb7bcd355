"""`NativeModel`: what every native reader returns, and its `ModelSpec`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

from modelpack.types import (
    NO_COMPILED_FORM,
    Finding,
    ModelFile,
    ModelSpec,
    Safety,
    Signature,
    Task,
    Tensor,
)

from ..facts import libraries
from ..facts.columns import Column
from ..facts.compilable import LIBRARIES
from ..facts.signature import MAX_INPUTS
from ..nodes import require
from ..verdicts import verdict

MAX_OUTPUTS = 100_000


@dataclass(frozen=True)
class NativeModel:
    """A model as its reader describes it.

    Attributes:
        estimator: The dotted class that the service loads the model as.
        framework: The distribution that wrote the file, "xgboost".
        description: Completes "the file is ...".
        version: Version of `framework` or a specifier. None if the file records neither.
        requires: Distribution -> why it is needed. Empty if it is `framework` alone.
        names: The "module:name" that loading looks up.
        locales: Locales that the operators of the model need.
        protocol: Version of the format.
        problem: Why the model cannot be served.
        min_width: The number of columns that it reads, if the file does not fix their number.
        notices: Sentences on what of it is used.
    """

    estimator: str
    framework: str
    description: str
    signature: Signature
    task: Task = "unknown"
    version: str | None = None
    requires: Mapping[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    locales: tuple[str, ...] = ()
    protocol: int | None = None
    problem: Finding | None = None
    min_width: int = 0
    notices: tuple[str, ...] = ()


def no_prediction_finding(reason: str) -> Finding:
    """Return the finding of a well-formed model that cannot be served."""
    return Finding("no-prediction", reason)


def inputs_finding(reason: str) -> Finding:
    """Return the finding of a network whose inputs or outputs are not served."""
    return Finding("network-inputs", reason)


def columns(width: int, names: Sequence[str] | None) -> tuple[list[Column], bool]:
    """Return a column for each of `width` inputs, and whether they have the given names.

    The list is empty if there are too many to list.
    """
    if width > MAX_INPUTS:
        return [], False
    if names is not None and len(names) == width == len(set(names)) and all(names):
        return [Column(name) for name in names], True
    return [Column(f"x{index}") for index in range(width)], False


def tensors(shapes: Sequence[tuple[str, tuple[int, ...]]]) -> tuple[Tensor, ...]:
    """Return the tensors of a signature, by the names and shapes of the inputs without the rows.

    There are none if each input is a column, or if the only one is a vector.
    """
    is_vector = len(shapes) == 1 and len(shapes[0][1]) <= 1
    if is_vector or all(prod(shape) == 1 for _, shape in shapes):
        return ()
    return tuple(Tensor(name, shape) for name, shape in shapes)


def width_problem(shapes: Sequence[tuple[int, ...]]) -> str:
    """Return why rows of so many values are not served; "" if they are."""
    count = sum(prod(shape) for shape in shapes)
    if count <= MAX_INPUTS or all(len(shape) <= 1 for shape in shapes):
        return ""
    return f"its rows have {count:,} values, and modelpack serves {MAX_INPUTS:,}"


def outputs(count: Any, what: str) -> int:
    """Return the number of outputs if it is plausible. `what`: "an ONNX model"."""
    require(0 < count <= MAX_OUTPUTS, f"{what} declares {count:,} outputs")
    return int(count)


def spec(model: NativeModel, files: Sequence[ModelFile], findings: Sequence[Finding]) -> ModelSpec:
    """Return the spec of the model, which is in the first of the files."""
    if model.problem is not None and verdict(findings) != "refuse":
        findings = [*findings, model.problem]
    versions = {model.framework: model.version} if model.version else {}
    reasons = dict(model.requires) or {model.framework: _reason(model)}
    implied = libraries.implied_requirements(versions)
    requirements = {name: libraries.specifier(versions.get(name, "")) for name in reasons}
    return ModelSpec(
        file=files[0],
        format=files[0].format,
        framework=model.framework,
        framework_version=libraries.framework_version(model.framework, versions),
        python=None,
        task=model.task,
        estimator=model.estimator,
        steps=(),
        method="predict",
        requirements={**requirements, **implied, "numpy": ""},
        versions=versions,
        local_modules=(),
        signature=_with_least_width(model),
        safety=Safety(verdict(findings), tuple(findings)),
        globals=model.names,
        more_files=tuple(files[1:]),
        reasons={
            **reasons,
            **{name: libraries.REASONS[name] for name in implied},
            "numpy": "rows are numpy arrays",
        },
        locales=model.locales,
        notices=model.notices,
        not_compilable="" if model.framework in LIBRARIES else NO_COMPILED_FORM,
    )


def _with_least_width(model: NativeModel) -> Signature:
    """Return the signature with the columns that the model reads, if its file lists none.

    Libraries do not check that a row has these columns, and would read beyond its end.
    """
    inputs, _ = columns(0 if model.signature.inputs else model.min_width, None)
    if not inputs:
        return model.signature
    return replace(model.signature, inputs=tuple(each.field("number") for each in inputs))


def _reason(model: NativeModel) -> str:
    version = model.version or ""
    if version[:1].isdigit():
        return f"the file records {model.framework} {version}"
    return f"the file is {model.description}"
