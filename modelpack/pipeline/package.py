"""`package`: one or several platforms, tagged only after the smoke test."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from modelpack import engines, processes
from modelpack.bundle import manifest, templates
from modelpack.engines import IndexStore
from modelpack.errors import ModelpackError, NoEngineError, UsageError
from modelpack.parity.claims import Claim, expected_claim
from modelpack.types import (
    Bundle,
    Code,
    Environment,
    Image,
    ModelSpec,
    Proof,
    Reference,
    SmokeReport,
    notebook_html,
    to_json,
)

from . import early_service, measurements
from .compiled import compile_temporarily, for_compiled
from .early_service import EarlyService
from .options import Observer, Options
from .proof import Expected, prove, prove_here, query_original
from .stages import Pipeline


def package(
    paths: Sequence[str | Path], options: Options | None = None, observer: Observer | None = None
) -> PackageResult:
    """Inspect, lock, render, build and smoke-test the model in these files.

    An image is tagged after it has passed the smoke test, and removed if it failed. Without a
    container engine, the bundle is tested as a local process and kept.

    Raises:
        ModelpackError: A stage failed; each stage has a class. A failed smoke test does not raise:
            see `PackageResult.smoke`.
    """
    run = Pipeline(options or Options(), observer)
    engines.preload(run.options.engine)
    templates.preload()
    with run.open_models(paths) as local:
        result = _package(run, local)
    models = run.models
    return replace(
        result, model=models.describe(result.model), code=models.describe_code(result.code)
    )


def _package(run: Pipeline, paths: Sequence[Path]) -> PackageResult:
    inspected, code = run.inspect(paths)
    model, rows = run.reference(inspected, paths)
    _notice_untested(run, model)
    with ExitStack() as stack:
        source = Source(model, code, rows)
        run.early = stack.enter_context(_start_early(run, model, code))
        if run.options.compiled:
            compiled = stack.enter_context(compile_temporarily(run, model))
            expected = query_original(run, model, code, rows, compiled)
            run, model = for_compiled(run), compiled
            source = Source(model, Code(), expected.reference, expected)
        directory = stack.enter_context(bundle_directory(_bundle_output(run, model)))
        builds: list[PlatformBuild] = []
        runs = platform_runs(run, directory)
        proof = None
        if source.expected and all(each.is_static_check for each, _ in runs):
            proof = prove_here(run, model, source.expected)
        for each, folder in runs:
            builds.append(stack.enter_context(build_for_platform(each, source, folder)))
            if not builds[-1].accepted:
                break
        image = tag_result(run, builds, run.options.tag or default_reference(inspected))
        if image and _may_start_early(run):
            early_service.store(run.engine, run.options, model, code, image)
    decisive = next((each for each in builds if not each.accepted), builds[0])
    return PackageResult(
        model,
        builds[0].bundle.environment,
        bundle=str(directory.resolve()) if directory.exists() else None,
        image=image,
        smoke=decisive.report,
        seconds=run.seconds,
        code=code,
        platforms=tuple(each.result() for each in builds) if len(builds) > 1 else (),
        engine=run.engine.name,
        proof=proof or builds[0].proof,
    )


def _may_start_early(run: Pipeline) -> bool:
    """A compiled model has another image, and one for another platform may not run here."""
    return not run.options.compiled and not run.options.platform


@contextmanager
def _start_early(run: Pipeline, model: ModelSpec, code: Code) -> Iterator[EarlyService | None]:
    """Yield the service of an earlier run, which is stopped with the context."""
    early = None
    if _may_start_early(run):
        early = early_service.start(run.engine, run.options, model, code)
    try:
        yield early
    finally:
        if early:
            early.close()


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
    """Return the folder in which the bundle is kept. Without images it is always kept."""
    if run.options.output or run.engine.images:
        return run.options.output
    folder = Path(f"{Path(main_file(model)).stem}-bundle")
    run.observer.notice(
        f"No image is built: the service is tested as a local process, and its bundle is kept in"
        f" {folder}."
    )
    return folder


@contextmanager
def bundle_directory(output: Path | None) -> Iterator[Path]:
    """Yield the folder to render into: `output`, or a temporary one."""
    if output is not None:
        yield output
        return
    with processes.temporary_directory() as folder:
        yield folder / "bundle"


@dataclass(frozen=True)
class Source:
    """What is packaged.

    Attributes:
        code: The author's code that the image needs.
        rows: Those of the smoke test.
        expected: What a compiled model must answer; None for others.
    """

    model: ModelSpec
    code: Code
    rows: Reference
    expected: Expected | None = None


@dataclass(frozen=True)
class PlatformBuild:
    """The build for one platform. It is `accepted` if the image may be tagged."""

    bundle: Bundle
    image: Image | None
    report: SmokeReport | None
    accepted: bool = True
    proof: Proof | None = None

    def result(self) -> PlatformResult:
        assert self.image is not None  # noqa: S101 - several platforms need an `IndexStore`
        return PlatformResult(self.bundle.environment, self.image, self.report)


def platform_runs(run: Pipeline, directory: Path) -> list[tuple[Pipeline, Path]]:
    """Return a pipeline for each requested platform, with the folder of its bundle.

    The folder is `directory`, or for several platforms a folder in it, such as "linux-arm64". The
    platform of this machine comes first.

    Raises:
        UsageError: A platform is not supported, or named twice.
        NoEngineError: The engine builds nothing for a platform.
    """
    platforms = run.options.platform.split(",") if run.options.platform else [run.engine.platform]
    if len(set(platforms)) != len(platforms):
        once = ",".join(dict.fromkeys(platforms))
        raise UsageError("A platform is named twice.", hint=f"Name each once: --platform {once}")
    platforms.sort(key=lambda platform: platform != run.engine.platform)
    runs = [run.for_platform(platform) for platform in platforms]
    for each in runs:
        if run.options.smoke:
            run.engine.runner.require_platform(each.platform)
    if len(runs) == 1:
        return [(runs[0], directory)]
    _index_store(run)
    return [(each, directory / each.platform.replace("/", "-")) for each in runs]


@contextmanager
def build_for_platform(run: Pipeline, source: Source, directory: Path) -> Iterator[PlatformBuild]:
    """Yield the build of one platform. Images that were not tagged are removed afterwards."""
    is_run = not run.is_static_check and run.engine.images
    claim = Claim(
        expected_claim(source.rows) if is_run and run.options.smoke else None,
        source.expected.proof() if is_run and source.expected else None,
    )
    bundle = run.render(source.model, source.code, directory, claim)
    images: list[Image] = []
    try:
        build = _build_and_test(run, bundle, source, images)
        if run.correct_claim(claim, build.report, build.proof) and build.image and build.accepted:
            rebuilt = run.build_image(bundle) or build.image
            images.append(rebuilt)
            build = replace(build, image=rebuilt)
        yield build
    except BaseException:
        if run.options.output:  # The bundle is kept, and must not claim what was not tested.
            with suppress(ModelpackError):
                run.correct_claim(claim, None, None)
        raise
    finally:
        for image in images:
            run.remove_untagged(image)


def _build_and_test(
    run: Pipeline, bundle: Bundle, source: Source, images: list[Image]
) -> PlatformBuild:
    image, rows, proof = run.build(bundle, is_new=True), source.rows, None
    images += [image] if image else []
    target = image.id if image else bundle.path
    if source.expected is not None and not run.is_static_check:
        rows, proof = prove(run, target, source.expected)
    if not run.options.smoke:
        return PlatformBuild(bundle, image, None, proof=proof)
    if run.is_static_check and image:
        report = run.check_static(image, bundle)
    else:
        report = run.smoke(target, source.model, rows, reuse=image is not None)
        if image:
            measurements.store(image.id, report)
    return PlatformBuild(bundle, image, report, run.options.accepts(report), proof)


def tag_result(run: Pipeline, builds: Sequence[PlatformBuild], reference: str) -> Image | None:
    """Tag the image, or an index of several. Return None without images, or if a build failed."""
    images = [each.image for each in builds if each.image]
    if not images or not all(each.accepted for each in builds):
        return None
    image = images[0] if len(images) == 1 else _index_store(run).create_index(images)
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
    """Return a reference from the name and the version of a registered model.

    Without these, it is from the file name, or from the folder if the file is called model.
    """
    origin = model.fetched_from[-1] if model.fetched_from else None
    if origin and origin.version:
        untagged = default_reference_from_name(origin.name).removesuffix("latest")
        return f"{untagged}{origin.version}"
    path = Path(main_file(model)).absolute()
    return default_reference_from_name(path.parent.name if path.stem == "model" else path.stem)


def main_file(model: ModelSpec) -> str:
    """Return the path of the file that predicts, which is the last one."""
    return model.files[-1].path


def default_reference_from_name(name: str) -> str:
    """Return a reference of lower-case letters, digits and single separators."""
    return f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-') or 'model'}:latest"


@dataclass(frozen=True)
class PlatformResult:
    """The result for one platform, with a static `smoke` report if this machine cannot run it."""

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
    """The result of `package`.

    Attributes:
        environment: Of the first platform, which is that of this machine.
        bundle: None if it was not kept.
        image: None without a container engine.
        smoke: None without a smoke test; of the platform that failed, or of the first one.
        seconds: Per stage.
        platforms: Empty for one platform.
        engine: The one that keeps the image.
        proof: Of a compiled model.
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
    proof: Proof | None = None

    def _repr_html_(self) -> str:
        return notebook_html(self)

    def to_json(self) -> dict[str, Any]:
        """Return the document of `modelpack package --json`."""
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
            **({"proof": to_json(self.proof)} if self.proof else {}),
            "seconds": dict(self.seconds),
        }
