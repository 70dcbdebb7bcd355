"""`NativeModel`: what every native reader returns, and its `ModelSpec`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelpack.types import Finding, ModelFile, ModelSpec, Safety, Signature, Task

from ..facts import libraries
from ..facts.columns import Column
from ..facts.signature import MAX_INPUTS
from ..nodes import require
from ..policy import verdict

MAX_OUTPUTS = 100_000


@dataclass(frozen=True)
class NativeModel:
    """`estimator`: the dotted class that the model is loaded as. `words` complete "the file is".
    `version`: of `framework`; or a specifier, or None. `requires`: distribution -> why it is
    needed, where that is not `framework` alone. `names`: the "module:name" that loading looks up.
    `protocol`: the version of the format. `problem`: what keeps it from being served.
    """

    estimator: str
    framework: str
    words: str
    signature: Signature
    task: Task = "unknown"
    version: str | None = None
    requires: Mapping[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    locales: tuple[str, ...] = ()
    protocol: int | None = None
    problem: Finding | None = None


def no_prediction_finding(reason: str) -> Finding:
    return Finding("no-prediction", reason)


def columns(width: int, names: Sequence[str] | None) -> tuple[list[Column], bool]:
    """A column for each of `width` inputs, and whether they have the names that the file tells.
    None where they are too many to be listed.
    """
    if width > MAX_INPUTS:
        return [], False
    if names is not None and len(names) == width == len(set(names)) and all(names):
        return [Column(name) for name in names], True
    return [Column(f"x{index}") for index in range(width)], False


def outputs(count: Any, what: str) -> int:
    """The number of outputs that a model of `what` tells, within reason."""
    require(0 < count <= MAX_OUTPUTS, f"{what} tells of {count:,} outputs")
    return int(count)


def spec(told: NativeModel, files: Sequence[ModelFile], findings: Sequence[Finding]) -> ModelSpec:
    """The spec of the first of the files."""
    if told.problem is not None and verdict(findings) != "refuse":
        findings = [*findings, told.problem]
    versions = {told.framework: told.version} if told.version else {}
    reasons = dict(told.requires) or {told.framework: _reason(told)}
    unsaid = libraries.implied_requirements(versions)
    requirements = {name: libraries.specifier(versions.get(name, "")) for name in reasons}
    return ModelSpec(
        file=files[0],
        format=files[0].format,
        framework=told.framework,
        framework_version=libraries.framework_version(told.framework, versions),
        python=None,
        task=told.task,
        estimator=told.estimator,
        steps=(),
        method="predict",
        requirements={**requirements, **unsaid, "numpy": ""},
        versions=versions,
        local_modules=(),
        signature=told.signature,
        safety=Safety(verdict(findings), tuple(findings)),
        globals=told.names,
        more_files=tuple(files[1:]),
        reasons={
            **reasons,
            **{name: libraries.REASONS[name] for name in unsaid},
            "numpy": "rows are numpy arrays",
        },
        locales=told.locales,
    )


def _reason(told: NativeModel) -> str:
    version = told.version or ""
    if version[:1].isdigit():
        return f"the file records {told.framework} {version}"
    return f"the file is {told.words}"
