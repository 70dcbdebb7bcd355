"""Two models as they are served, side by side: what each side tells, and what both say of rows."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from modelpack import diff as modelpack_diff
from modelpack.diff import Difference, image
from modelpack.errors import DifferentError

from . import asking, targets
from .run import Run
from .targets import Target


def diff(run: Run, old: str, new: str) -> Difference:
    """What changes where NEW takes the place of OLD.

    Raises:
        UsageError: one of them is nothing that can be compared, or the example cannot be read.
        NoEngineError: one of them is an image, and no container engine answers.
        ModelpackError: the environment of a bundle cannot be made; as `package`.
    """
    with ExitStack() as stack:
        opened = [_opened(run, stack, name) for name in (old, new)]
        answers = asking.compared(run, opened)
        with run.stage("compare") as summary:
            sides = image.add_file_listings([t.side for t in opened], [t.image for t in opened])
            found = modelpack_diff.compare(sides[0], sides[1], answers)
            summary.append(", ".join(found.differing) or "nothing differs")
    return found


def require_same(found: Difference, fail_on: str) -> None:
    """Raises:
    DifferentError: something differs of what `fail_on` names.
    """
    unknown = fail_on == "predictions" and found.predictions.verdict == "unknown"
    if unknown:
        why = "; ".join(found.predictions.unknown)
        raise DifferentError(
            f"The predictions could not be compared: {why}.",
            hint="Compare images or bundles, with --example FILE where their rows differ.",
        )
    counted = {
        "any": found.differing,
        "breaking": found.breaking,
        "predictions": [name for name in found.differing if name == "predictions"],
        "never": (),
    }[fail_on]
    if counted:
        raise DifferentError(_told(found, counted), hint=_hint(found, fail_on))


def _told(found: Difference, names: Sequence[str]) -> str:
    parts = [f"{name}: {getattr(found, name).summary}" for name in names]
    return "\n  ".join([f"{found.new.name} differs from {found.old.name}.", *parts])


def _hint(found: Difference, fail_on: str) -> str:
    if found.breaking or fail_on == "predictions":
        return "--fail-on never only shows it."
    return "--fail-on breaking lets pass what breaks no caller."


def _opened(run: Run, stack: ExitStack, name: str) -> Target:
    with run.stage("read") as summary:
        target = stack.enter_context(targets.opened(run, name))
        summary.append(f"{target.side.kind} {name}")
    return target
