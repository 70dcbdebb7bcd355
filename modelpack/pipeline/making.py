"""The image of a model for one platform, or for several as one, tested before it gets its name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from modelpack.errors import ModelpackError, UsageError
from modelpack.parity.claims import expected_parity
from modelpack.types import Bundle, Code, Image, ModelSpec, Reference, SmokeReport

from .names import default_reference
from .options import ForPlatform
from .run import Run


@dataclass(frozen=True)
class Made:
    """`image`: None where the engine makes none. `report`: None where no test was wanted.
    `accepted`: the image may get its name.
    """

    bundle: Bundle
    image: Image | None
    report: SmokeReport | None
    accepted: bool = True

    def told(self) -> ForPlatform:
        assert self.image is not None  # noqa: S101 - an engine that makes none makes no several
        return ForPlatform(self.bundle.environment, self.image, self.report)


def platforms(run: Run, directory: Path) -> list[tuple[Run, Path]]:
    """A run for each platform that is asked for, with the folder of its bundle: `directory`, or
    where there are several one in it, as "linux-arm64". What this machine runs comes first.

    Raises:
        UsageError: there is no lock for one, or it is named twice.
        NoEngineError: the engine makes nothing for it.
    """
    asked = run.options.platform.split(",") if run.options.platform else [run.engine.platform]
    if len(set(asked)) != len(asked):
        raise UsageError("A platform is named twice.", hint="Name each once: --platform A,B")
    asked.sort(key=lambda platform: platform != run.engine.platform)
    runs = [run.on(platform) for platform in asked]
    for each in runs:
        if run.options.smoke:
            run.engine.require_runs(each.platform)
    if len(runs) == 1:
        return [(runs[0], directory)]
    run.engine.require_joins()
    return [(each, directory / each.platform.replace("/", "-")) for each in runs]


@contextmanager
def made(
    run: Run, model: ModelSpec, code: Code, rows: Reference, directory: Path
) -> Iterator[Made]:
    """The image, to be named while the block runs; it is removed with it if it got no name."""
    claims = run.options.smoke and not run.is_read and run.engine.name != "process"  # of an image
    claimed = expected_parity(rows) if claims else None
    bundle = run.render(model, code, directory, claimed)
    images: list[Image] = []
    try:
        found = _found(run, bundle, model, rows, images)
        if run.settle(claimed, found.report) and found.image and found.accepted:
            again = run.built(bundle) or found.image
            images.append(again)
            found = replace(found, image=again)
        yield found
    except BaseException:
        if run.options.output:  # a bundle that is kept claims nothing either
            with suppress(ModelpackError):
                run.settle(claimed, None)
        raise
    finally:
        for image in images:  # if it has no name itself
            run.engine.discard(image)


def _found(
    run: Run, bundle: Bundle, model: ModelSpec, rows: Reference, images: list[Image]
) -> Made:
    image = run.build(bundle)
    images += [image] if image else []
    if not run.options.smoke:
        return Made(bundle, image, None)
    if run.is_read and image:
        report = run.read(image, bundle)
    else:
        report = run.smoke(image.id if image else bundle.path, model, rows)
    return Made(bundle, image, report, run.options.accepts(report))


def named(run: Run, found: Sequence[Made]) -> Image | None:
    """The image under its name, all of several as one; None where there is none, or one failed."""
    images = [each.image for each in found if each.image]
    if not images or not all(each.accepted for each in found):
        return None
    image = images[0] if len(images) == 1 else run.engine.join(images)
    reference = run.options.tag or default_reference(found[0].bundle.model)
    try:
        return run.engine.tag(image, reference)
    finally:
        run.engine.discard(image)
