"""From what a file in the format of its own library tells to a `ModelSpec`."""

from __future__ import annotations

from collections.abc import Sequence

from modelpack.types import Finding, ModelFile, ModelSpec, Safety

from ..facts import libraries
from ..policy import verdict
from .told import Told


def spec(told: Told, files: Sequence[ModelFile], findings: Sequence[Finding]) -> ModelSpec:
    """The spec of the first of the files."""
    if told.problem is not None and verdict(findings) != "refuse":
        findings = [*findings, told.problem]
    versions = {told.framework: told.version} if told.version else {}
    reasons = dict(told.requires) or {told.framework: _reason(told)}
    unsaid = libraries.unsaid(versions)
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


def _reason(told: Told) -> str:
    version = told.version or ""
    if version[:1].isdigit():
        return f"the file records {told.framework} {version}"
    return f"the file is {told.words}"
