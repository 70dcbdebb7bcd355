"""`smoke`, and the error raised for a failed report."""

from __future__ import annotations

from modelpack.errors import SmokeFailedError
from modelpack.smoke import diagnosis, static
from modelpack.types import SmokeReport

from .package import ROWS_HINT
from .stages import Pipeline
from .targets import Target, open_runnable


def require_passed(report: SmokeReport, *, allow_untested: bool = False) -> None:
    """Require that a service passed its smoke test.

    Raises:
        SmokeFailedError: A check failed; the message says why the service did not start, or names
            the checks. Or no prediction was tested, and `allow_untested` is false.
    """
    if report.passed or (allow_untested and report.status == "untested"):
        return
    if report.status == "untested":
        raise SmokeFailedError(
            f"No prediction of the service was tested, because {report.untested}.", hint=ROWS_HINT
        )
    failed = ", ".join(check.name for check in report.checks if check.status == "failed")
    is_static_check = report.engine == static.NAME
    what = "image failed static checks" if is_static_check else "service failed checks"
    message, hint = diagnosis.diagnose(report) or (
        f"The {what}: {failed}.",
        "Keep the bundle to examine it: modelpack package MODEL -o DIR --no-smoke",
    )
    raise SmokeFailedError(message, hint=hint)


def smoke_target(run: Pipeline, target: Target) -> SmokeReport:
    """Run the smoke test of an image or a bundle.

    Raises:
        UsageError: The target is neither.
        NoEngineError: It is an image, and no container engine responds.
    """
    with open_runnable(run, target) as runnable:
        return run.smoke(runnable.name, *run.reference(runnable.read_model()))
