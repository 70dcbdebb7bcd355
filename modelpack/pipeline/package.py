"""`package`: one or several platforms, tagged only after the smoke test."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from modelpack import engines, processes
from modelpack.bundle import manifest
from modelpack.engines import IndexStore
from modelpack.engines.local.engine import LocalRunner
from modelpack.errors import ModelpackError, NoEngineError, UsageError
from modelpack.parity.claims import expected_claim
from modelpack.types import (
    Bundle,
    Code,
    Environment,
    Image,
    ModelSpec,
    Reference,
    SmokeReport,
    to_json,
)

from .options import Observer, Options
from .stages import Pipeline

ROWS_HINT = (
    "Give real rows: --example FILE. Or call modelpack.record(model, X, path) where the model is"
    " trained. --allow-untested accepts the service as it is."
)
"""What to do if no prediction was tested."""


def package(
    paths: Sequence[str | Path], options: Options | None = None, observer: Observer | None = None
) -> PackageResult:
    """Inspects, locks, renders, builds and smoke-tests the model that lies in these files.

    An image gets its tag only once it has passed; one that failed is removed. Where there is no
    container engine, the bundle itself is tested as a local process, and kept.

    Raises:
        ModelpackError: the class tells the stage that failed. A smoke test that failed raises
            nothing: look at `Package.smoke.passed`.
    """
    run = Pipeline(options or Options(), observer)
    engines.preload(run.options.engine)
    found, code = run.inspect(paths)
    model, rows = run.reference(found, paths)
    _notice_untested(run, model)
    with bundle_directory(_bundle_output(run, model)) as directory, ExitStack() as stack:
        made: list[PlatformBuild] = []
        for each, folder in platform_runs(run, directory):
            made.append(stack.enter_context(build_for_platform(each, model, code, rows, folder)))
            if not made[-1].accepted:
                break
        named = tag_result(run, made)
    first, decisive = made[0], next((each for each in made if not each.accepted), made[0])
    kept = str(directory.resolve()) if directory.exists() else None
    several = tuple(each.result() for each in made) if len(made) > 1 else ()
    locked = first.bundle.environment
    report, engine = decisive.report, run.engine.name
    return PackageResult(model, locked, kept, named, report, run.seconds, code, several, engine)


def _notice_untested(run: Pipeline, model: ModelSpec) -> None:
    """Report before the build what the smoke test will not test."""
    if not run.options.smoke:
        run.observer.notice(
            "The service is not run (--no-smoke): neither its start nor a prediction is tested."
        )
    elif manifest.example(model) is None:
        run.observer.notice(
            "No prediction is tested (--allow-untested)."
            if run.options.allow_untested
            else "The model file does not contain what a row looks like. No prediction can be"
            " tested, so the package will not be accepted without --example FILE or"
            " --allow-untested."
        )


def _bundle_output(run: Pipeline, model: ModelSpec) -> Path | None:
    """Where the bundle is to stay. Without images it is all that there is, and stays anyway."""
    if run.options.output or run.engine.images:
        return run.options.output
    folder = Path(f"{Path(main_file(model)).stem}-bundle")
    run.observer.notice(
        f"No image is built: the service is tested as a local process, and its bundle kept in "
        f"{folder}."
    )
    return folder


def _serve(run: Pipeline, bundle: Bundle, port: int) -> int:
    run.build(bundle)
    run.observer.notice(f"http://127.0.0.1:{port}/  (Ctrl-C ends it)")
    return LocalRunner().serve(bundle.path, port)


@contextmanager
def bundle_directory(output: Path | None) -> Iterator[Path]:
    """The folder to render into: the one asked for, or one that is gone afterwards."""
    if output is not None:
        yield output
        return
    with processes.temporary_directory() as folder:
        yield folder / "bundle"


@dataclass(frozen=True)
class PlatformBuild:
    """`image`: None where the engine makes none. `report`: None where no test was wanted.
    `accepted`: the image may get its name.
    """

    bundle: Bundle
    image: Image | None
    report: SmokeReport | None
    accepted: bool = True

    def result(self) -> PlatformResult:
        assert self.image is not None  # noqa: S101 - an engine that makes none makes no several
        return PlatformResult(self.bundle.environment, self.image, self.report)


def platform_runs(run: Pipeline, directory: Path) -> list[tuple[Pipeline, Path]]:
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
    runs = [run.for_platform(platform) for platform in asked]
    for each in runs:
        if run.options.smoke:
            run.engine.runner.require_platform(each.platform)
    if len(runs) == 1:
        return [(runs[0], directory)]
    _index_store(run)
    return [(each, directory / each.platform.replace("/", "-")) for each in runs]


@contextmanager
def build_for_platform(
    run: Pipeline, model: ModelSpec, code: Code, rows: Reference, directory: Path
) -> Iterator[PlatformBuild]:
    """The image, to be named while the block runs; it is removed with it if it got no name."""
    claims = run.options.smoke and not run.is_static_check and run.engine.images
    claimed = expected_claim(rows) if claims else None
    bundle = run.render(model, code, directory, claimed)
    images: list[Image] = []
    try:
        found = _build_and_test(run, bundle, model, rows, images)
        if run.correct_claim(claimed, found.report) and found.image and found.accepted:
            again = run.build_image(bundle) or found.image
            images.append(again)
            found = replace(found, image=again)
        yield found
    except BaseException:
        if run.options.output:  # a bundle that is kept claims nothing either
            with suppress(ModelpackError):
                run.correct_claim(claimed, None)
        raise
    finally:
        for image in images:
            run.remove_untagged(image)


def _build_and_test(
    run: Pipeline, bundle: Bundle, model: ModelSpec, rows: Reference, images: list[Image]
) -> PlatformBuild:
    image = run.build(bundle)
    images += [image] if image else []
    if not run.options.smoke:
        return PlatformBuild(bundle, image, None)
    if run.is_static_check and image:
        report = run.check_static(image, bundle)
    else:
        report = run.smoke(image.id if image else bundle.path, model, rows)
    return PlatformBuild(bundle, image, report, run.options.accepts(report))


def tag_result(run: Pipeline, found: Sequence[PlatformBuild]) -> Image | None:
    """The image under its name, all of several as one; None where there is none, or one failed."""
    images = [each.image for each in found if each.image]
    if not images or not all(each.accepted for each in found):
        return None
    image = images[0] if len(images) == 1 else _index_store(run).create_index(images)
    reference = run.options.tag or default_reference(found[0].bundle.model)
    try:
        return run.engine.require_images(f"{reference} cannot be built").tag(image, reference)
    finally:
        run.remove_untagged(image)


def _index_store(run: Pipeline) -> IndexStore:
    images = run.engine.images
    if not isinstance(images, IndexStore):
        raise NoEngineError(
            f"The engine {run.engine.name!r} cannot build one image for several platforms.",
            hint="Run modelpack with: --engine oci",
        )
    return images


def default_reference(model: ModelSpec) -> str:
    """A reference made of the file's name, or of its folder's where all files are called model."""
    path = Path(main_file(model)).absolute()
    return default_reference_from_name(path.parent.name if path.stem == "model" else path.stem)


def main_file(model: ModelSpec) -> str:
    """The path of the file that predicts, the last of them."""
    return model.files[-1].path


def default_reference_from_name(name: str) -> str:
    """Docker allows lower-case letters and digits with single separators between them."""
    return f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-') or 'model'}:latest"


@dataclass(frozen=True)
class PlatformResult:
    """What was made for one of several platforms. `smoke`: what was found; of an image that this
    machine does not run, by reading it.
    """

    environment: Environment
    image: Image
    smoke: SmokeReport | None

    def to_json(self) -> dict[str, Any]:
        return {
            "platform": self.environment.platform,
            "requirements": dict(self.environment.requirements),
            "image": {"id": self.image.id, "size_bytes": self.image.size_bytes},
            "smoke": self.smoke and to_json(self.smoke),
        }


@dataclass(frozen=True)
class PackageResult:
    """What `package` made. `bundle` is None where it was not kept, `image` where no container
    engine is there, `smoke` where it was not wanted. `seconds` per stage. `platforms`: where the
    image is for several; `environment` is of the first, which this machine runs, and so is `smoke`,
    unless the image for another one failed. `engine`: the one that keeps the image.
    """

    model: ModelSpec
    environment: Environment
    bundle: str | None
    image: Image | None
    smoke: SmokeReport | None
    seconds: Mapping[str, float]
    code: Code = field(default_factory=Code)
    platforms: tuple[PlatformResult, ...] = ()
    engine: str = "docker"

    def to_json(self) -> dict[str, Any]:
        """The document of `modelpack package --json`."""
        image, several = self.image, [each.to_json() for each in self.platforms]
        return {
            "model": to_json(self.model),
            "environment": {
                "python": self.environment.python,
                "platform": self.environment.platform,
                "requirements": dict(self.environment.requirements),
                "origins": dict(self.environment.origins),
                "warnings": list(self.environment.warnings),
                "sdists": list(self.environment.sdists),
            },
            "code": to_json(self.code),
            "bundle": self.bundle,
            "image": image
            and {"reference": image.reference, "id": image.id, "size_bytes": image.size_bytes},
            "smoke": self.smoke and to_json(self.smoke),
            **({"platforms": several} if several else {}),
            "seconds": dict(self.seconds),
        }
