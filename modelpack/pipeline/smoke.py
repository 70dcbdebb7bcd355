"""`smoke`, and the error raised for a failed report."""

from __future__ import annotations

from modelpack.environment import redacted
from modelpack.errors import SmokeFailedError
from modelpack.smoke import diagnosis, static
from modelpack.types import SmokeReport

from . import measurements
from .stages import Pipeline
from .targets import Target, TargetKind, open_runnable

EXAMPLE = "rows.csv"
"""The file of rows in the hint."""

BUNDLE = "bundle"
"""The folder of the bundle in the hint."""

_KEEP = "modelpack package MODEL -o DIR --no-smoke"


def require_passed(
    report: SmokeReport, *, allow_untested: bool = False, command: str = "", keep: str = ""
) -> None:
    """Require that a service passed its smoke test.

    Args:
        report: Of the smoke test.
        allow_untested: Accept a service of which no prediction was tested.
        command: The command with an option that gives the rows of `EXAMPLE`.
        keep: The command with options that keep the bundle and skip this test.

    Raises:
        SmokeFailedError: A check failed. The message explains why the service did not start, or
            names the checks. Or no prediction was tested, and `allow_untested` is false.
    """
    if report.passed or (allow_untested and report.status == "untested"):
        return
    if report.status == "untested":
        raise SmokeFailedError(
            f"No prediction of the service was tested, because {report.untested}.",
            hint=f"Save rows in the training script: X[:20].to_csv('{EXAMPLE}', index=False), or"
            " numpy.save('rows.npy', X[:20]) for an array. Or call modelpack.record(model, X, path)"
            " there. Without rows, --allow-untested accepts the service untested. With rows,"
            f" {f'run: {redacted(command)}' if command else f'add: --example {EXAMPLE}'}",
        )
    failed = ", ".join(check.name for check in report.checks if check.status == "failed")
    is_static_check = report.engine == static.NAME
    what = "image failed static checks" if is_static_check else "service failed checks"
    message, hint = diagnosis.diagnose(report) or (
        f"The {what}: {failed}.",
        f"Keep the bundle to examine it: {redacted(keep or _KEEP)}",
    )
    raise SmokeFailedError(message, hint=hint)


def smoke_target(run: Pipeline, target: Target) -> SmokeReport:
    """Run the smoke test of an image or a bundle.

    Raises:
        UsageError: The target is neither.
        NoEngineError: It is an image, and no container engine responds.
    """
    with open_runnable(run, target) as runnable:
        report = run.smoke(runnable.name, *run.reference(runnable.read_model()))
    if target.kind is TargetKind.IMAGE and run.engine.images:
        measurements.store(run.engine.images.find(target.text).id, report)
    return report
