"""`Pipeline`: every stage as a timed method."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

from modelpack import engines, environment, hardening, parity
from modelpack import user_code as codes
from modelpack.bundle import render as bundles
from modelpack.engines import BuildCache, CachingBuilder, Engine, OverridableBase, StepEvent
from modelpack.engines.build_cache import FROM, TO
from modelpack.engines.build_progress import CACHE_IMPORT
from modelpack.errors import NoEngineError, UsageError
from modelpack.inspection import inspect, require_categories, require_servable, with_trusted
from modelpack.oci.reference import ImageReference
from modelpack.parity import claims
from modelpack.parity.claims import Claim
from modelpack.smoke import smoke, static
from modelpack.types import (
    BaseImage,
    Bundle,
    CheckStatus,
    Code,
    Environment,
    Image,
    IndexSettings,
    ModelSpec,
    Parity,
    Proof,
    Reference,
    Ruling,
    RunningService,
    SmokeReport,
)

from . import answers, base_layers, built_images, measurements, sources, wheelhouse
from .early_service import EarlyService
from .inspect import (
    find_code,
    model_summary,
    needs_code,
    require_code_paths,
    require_trusted,
)
from .options import Observer, Options
from .sources import LocalModels

MAX_NAMES = 8
"""Number of edited files that a message names."""

MAX_CONCURRENT_MODEL_BYTES = 256 * 2**20
"""Bytes of a model's files that are loaded in the sandbox and in the service at the same time."""


class Summary(list[str]):
    """A summary of a stage for the terminal. The status of one without tests is "passed"."""

    status: CheckStatus = "passed"

    def conclude(self, report: SmokeReport) -> None:
        """Add the counts of a report. The status is "passed" only if every check passed."""
        statuses = [check.status for check in report.checks]
        counts = [f"{statuses.count('passed')} of {len(statuses)} checks passed"]
        for status in ("failed", "not run"):
            counts += [f"{statuses.count(status)} {status}"] if status in statuses else []
        self.append(", ".join(counts))
        if report.status == "failed":
            self.status = "failed"
        elif "not run" in statuses:
            self.status = "not run"


class Pipeline:
    """A run of the pipeline. Each stage is a method, timed and reported to the observer."""

    def __init__(self, options: Options, observer: Observer | None = None) -> None:
        self.options = options
        self.observer = observer or Observer()
        self.seconds: dict[str, float] = {}
        self.models = LocalModels(())
        self.early: EarlyService | None = None
        self._base: BaseImage | None = None

    def for_platform(self, platform: str) -> Pipeline:
        """Return the pipeline for one of the requested platforms."""
        return self.with_options(replace(self.options, platform=platform))

    def with_options(self, options: Options) -> Pipeline:
        """Return a pipeline with other options, the same engine and the same times."""
        run = Pipeline(options, self.observer)
        run.seconds = self.seconds
        run.engine = self.engine
        run.models = self.models
        run.early = self.early
        return run

    @property
    def is_static_check(self) -> bool:
        """Return whether an image is only read, because this machine cannot run it."""
        return self.engine.foreign_images_are_read and self.platform != self.engine.platform

    @cached_property
    def engine(self) -> Engine:
        if self.options.tag is not None:
            ImageReference.parse_tag(self.options.tag)  # fails now, not after the build
        engine = engines.select_engine(self.options.engine)
        if self.options.tag:
            engine.require_images(f"{self.options.tag} cannot be built", "leave out -t")
        self._use_cache(engine)
        return engine

    def _use_cache(self, engine: Engine) -> None:
        cache = BuildCache(self.options.cache_from, self.options.cache_to)
        if not cache:
            return
        if not isinstance(engine.builder, CachingBuilder):
            raise NoEngineError(
                f"The engine `{engine.name}` neither imports nor exports a build cache"
                f" ({FROM}, {TO}).",
                hint="Leave the options out, and keep the folder ~/.cache/modelpack between builds,"
                " in which this engine finds its layers and downloads again.",
            )
        engine.builder.use_cache(cache)

    @cached_property
    def index(self) -> IndexSettings:
        ca_cert = self.options.ca_cert
        for problem in [] if self.options.offline else environment.unsupported_settings():
            self.observer.notice(problem)
        return environment.index_settings(
            index_url=self.options.index_url,
            ca_cert=str(ca_cert) if ca_cert else None,
            wheelhouse=self.options.offline,
        )

    @cached_property
    def platform(self) -> str:
        """The platform of the image. Raises UsageError if it is not supported."""
        platform = self.options.platform or self.engine.platform
        environment.require_platform(platform)
        return platform

    @contextmanager
    def open_models(self, paths: Sequence[str | Path]) -> Iterator[tuple[Path, ...]]:
        """Yield the files of a model on this machine. Addresses are fetched, archives unpacked."""
        with sources.open_models(paths, self.options, self.observer, self.seconds) as models:
            code = tuple(models.localize(Path(path)) for path in self.options.code)
            self.models, self.options = models, replace(self.options, code=code)
            yield models.paths

    def inspect(self, paths: Sequence[str | Path]) -> tuple[ModelSpec, Code]:
        """Return the model, and the author's code that it needs."""
        require_code_paths(self.options)
        parity.checked_texts(self.options.title, self.options.description)  # fails now
        with self.stage("inspect") as summary:
            model = inspect(*paths, trust=self.options.trust, select=self.options.select)
            model = replace(model, fetched_from=self.models.origins)
            if model.safety.verdict != "trust" or not model.local_modules:
                require_servable(model)
            summary.append(model_summary(model))
        for notice in model.notices:
            self.observer.notice(notice)
        has_code = needs_code(model, self.options)
        return self._collect(model) if has_code else (model, Code())

    def _collect(self, model: ModelSpec) -> tuple[ModelSpec, Code]:
        """Return the author's code, and the model with the requirements of the code."""
        with self.stage("code") as summary:
            code = find_code(model, self.options)
            model = with_trusted(model, code)
            for notice in codes.notices(code):
                self.observer.notice(self.models.present(notice))
            require_trusted(model, code)
            codes.require_found(model, code)
            count = len(code.files)
            summary.append(f"{count} file{'' if count == 1 else 's'} of user code")
        return codes.with_code_requirements(model, code), code

    def resolve(self, model: ModelSpec) -> tuple[Environment, BaseImage]:
        with self.stage("environment") as summary:
            base = self.find_base(model)
            resolved = environment.resolve(
                model,
                base.python,
                platform=self.platform,
                index=self.index,
                requirements=self.options.requirements,
                python_cause=self._python_cause(base),
            )
            summary.append(environment_summary(resolved))
        self.observer.locked(resolved, model)
        if resolved.sdists:
            self.observer.notice(
                f"{', '.join(resolved.sdists)}: no wheel fits, so the sdist is built. The image"
                " does not contain the compiler."
            )
        return resolved, base

    def find_base(self, model: ModelSpec) -> BaseImage:
        """Return the base image of the options, or one with a Python that the model needs."""
        version, offline = self.options.python, self.options.offline
        if version is not None:
            environment.require_python(version)
            versions: tuple[str, ...] = (version,)
        else:
            versions = environment.candidate_pythons(model, self.options.requirements)
        if offline:
            versions = environment.wheelhouse.pythons(offline, versions, self.platform)
        return self.engine.builder.find_base_image(
            versions, self.options.base_image, platform=self.platform, pull=offline is None
        )

    def _python_cause(self, base: BaseImage) -> environment.PythonCause:
        if self.options.python is not None:
            return "option"
        if self.options.offline and environment.wheelhouse.has_manifest(self.options.offline):
            return "wheelhouse"
        if not self.engine.images:
            return "interpreter"
        return "base image" if base.origin == "user" else "unavailable"

    def override_base(self, bundle: Bundle) -> None:
        """Build an existing bundle on the base image of the options, if they name one.

        Raises:
            UsageError: There is no such image, it does not fit, or the engine cannot override it.
        """
        location = self.options.base_image
        if location is None:
            return
        builder = self.engine.builder
        if not isinstance(builder, OverridableBase):
            raise UsageError(
                "The Dockerfile of the bundle names its base image.",
                hint="Edit the Dockerfile, or override the base image with: --engine oci",
            )
        locked = bundle.environment
        builder.override_base_image(location, locked.python, locked.platform)

    def render(
        self, model: ModelSpec, code: Code, directory: Path, claim: Claim = claims.NO_CLAIM
    ) -> Bundle:
        """Resolve the environment and render the bundle, which contains the claim.

        Raises:
            UsageError: `directory` contains a bundle with edited files, and `force` is not set.
        """
        self._require_unedited(directory)
        resolved, base = self.resolve(model)
        with self.stage("bundle") as summary:
            self._base = base = replace(base, slim=self.options.slim_base)
            self._render = partial(bundles.render, model, resolved, base, directory, code)
            bundle = self._render(claim=claim)
            summary.append(f"on {base.reference}")
        return bundle

    def _require_unedited(self, directory: Path) -> None:
        edited = bundles.edited_files(directory)
        shown = ", ".join(edited[:MAX_NAMES]) + (", ..." if len(edited) > MAX_NAMES else "")
        if edited and not self.options.force:
            raise UsageError(
                f"{directory} is not replaced, because these files of the bundle were edited:"
                f" {shown}.",
                hint="Choose another folder with -o, or replace the edited files with --force."
                " To build the edited bundle, run: "
                + shlex.join(["modelpack", "build", str(directory)]),
            )
        if edited:
            self.observer.notice(f"Edited files are replaced (--force): {shown}.")

    def reference(
        self, model: ModelSpec, paths: Sequence[str | Path] = ()
    ) -> tuple[ModelSpec, Reference]:
        """Return the rows of the smoke test, and the model with the first one as its example."""
        options, files = self.options, tuple(map(Path, paths))
        sources = parity.ReferenceSources(
            files, options.example, options.expected, options.tolerance
        )
        model, rows = parity.prepare(model, sources)
        require_categories(model)
        for notice in parity.untyped_notices(model, rows):
            self.observer.notice(notice)
        return parity.with_texts(model, options.title, options.description), rows

    def build(self, bundle: Bundle, *, is_new: bool = False) -> Image | None:
        """Build an image without a tag. Return None if the engine builds no images.

        A bundle that `is_new` was rendered by this run. If it has the content of an earlier one,
        its image is returned.
        """
        with self.stage("build") as summary:
            if self.options.offline:
                wheelhouse.require_complete(self.options.offline, bundle, self.engine)
            # A cache is exported by a build, and one in the image changes its id.
            is_remembered = is_new and not self.options.cache_to
            image = built_images.find(self.engine, bundle) if is_remembered else None
            if self.early and image is None:
                self.early.close()
            image = image or self._build_image_for_scan(bundle)
            if is_remembered and image:
                built_images.store(self.engine, bundle, image)
            size = f"image of {image.size_bytes / 1e6:.0f} MB" if image else "local environment"
            summary.append(size)
        return image

    def smoke(
        self, target: str, model: ModelSpec, rows: Reference, *, reuse: bool = False
    ) -> SmokeReport:
        """Run the smoke test of an image (id or reference), or of a bundle without images.

        With `reuse`, the target is the id of an image. Measurements, and the answers of its model,
        are those of an earlier test of the same image if there was one.
        """
        known = measurements.load(target) if reuse else None
        measured = known if known and known.engine == self.engine.name else None
        size = sum(file.size for file in model.files)
        is_concurrent = size <= MAX_CONCURRENT_MODEL_BYTES
        runner = self.engine.runner
        with self.stage("smoke") as summary:
            with (
                self._hardening_scan(target) as get_rulings,
                answers.query(
                    runner, target, rows, concurrent=is_concurrent, reuse=reuse
                ) as expected,
                self._run_service(target) as (service, started),
            ):
                report = smoke(
                    service,
                    model,
                    rows,
                    expected.answers,
                    get_rulings,
                    answered_again=expected.again,
                    measured=measured,
                    started=started,
                    on_check=self.observer.check,
                )
            summary.conclude(report)
        return report

    @contextmanager
    def _run_service(self, target: str) -> Iterator[tuple[RunningService, float]]:
        """Run a service, and yield it with the time of its start."""
        if self.early and (early := self.early.take(target)):
            try:
                yield early
            finally:
                self.early.close()
            return
        with self.engine.runner.run(target) as service:
            yield service, time.monotonic()

    @contextmanager
    def _hardening_scan(self, target: str) -> Iterator[Callable[[], tuple[Ruling, ...]] | None]:
        """Scan an image in parallel, and yield a function that waits for the result."""
        images = self.engine.images
        if images is None:
            yield None
            return
        secrets = hardening.known_secrets(self.index, os.environ)
        with ThreadPoolExecutor(1) as pool, images.open_image(target) as image:
            yield pool.submit(hardening.scan, image, secrets).result

    def complete(self, target: str, rows: Reference) -> Reference:
        """Return the rows with the answers of the model in an image, or in a bundle."""
        return answers.complete(self.engine.runner, target, rows)

    def _build_image_for_scan(self, bundle: Bundle) -> Image | None:
        if not self.options.smoke or self._base is None:
            return self.build_image(bundle)
        with base_layers.read_in_parallel(self.engine, self._base.reference) as observe:
            return self.build_image(bundle, observe)

    def build_image(
        self, bundle: Bundle, observe: Callable[[StepEvent], None] = lambda _: None
    ) -> Image | None:
        """Build an image. `observe` also gets each step."""

        def step(event: StepEvent) -> None:
            observe(event)
            self._build_step(event)

        offline = bool(self.options.offline)
        with wheelhouse.build_index(
            self.engine, bundle, self.index, step, offline=offline
        ) as index:
            return self.engine.builder.build(bundle, index, step)

    def _build_step(self, event: StepEvent) -> None:
        """Report a step of a build, and notice a cache that does not exist."""
        self.observer.step(event)
        if event.state == "failed" and event.name.startswith(CACHE_IMPORT):
            self.observer.notice(
                f"The build cache {event.name.removeprefix(CACHE_IMPORT)} was not imported, because"
                " it does not exist or cannot be read. The image is built without it."
            )

    @contextmanager
    def temporary_image(self, bundle: Bundle) -> Iterator[str]:
        """Build a bundle and yield what the engine runs: a temporary image, or the bundle."""
        self.override_base(bundle)
        image = self.build(bundle)
        try:
            yield image.id if image else bundle.path
        finally:
            if image:
                self.remove_untagged(image)

    def remove_untagged(self, image: Image) -> None:
        if self.engine.images:
            self.engine.images.remove_untagged(image)

    def correct_claim(
        self, claim: Claim, report: SmokeReport | None, proof: Proof | None = None
    ) -> bool:
        """Render the bundle again, and return True, if the tests did not confirm its claim.

        The test failed, or the model refused some of the generated rows, or a compiled model does
        not have all bits of the model.
        """
        confirmed = Claim(self._parity(report) if claim.parity else None, proof)
        if claims.is_same_claim(claim, confirmed):
            return False
        self._render(claim=confirmed)
        return True

    def _parity(self, report: SmokeReport | None) -> Parity | None:
        """Return the parity that an image with this report may claim."""
        if report is None or not self.options.accepts(report):
            return None
        return claims.UNTESTED if report.status == "untested" else report.parity

    def check_static(self, image: Image, bundle: Bundle) -> SmokeReport:
        """Check an image that this machine does not run."""
        self.observer.notice(
            f"This machine cannot run the image for {self.platform}: its files are checked, but its"
            " predictions are not."
        )
        images = self.engine.require_images(f"{image.id} cannot be read")
        with self.stage("read") as summary, images.open_image(image.id) as contents:
            rulings = hardening.scan(contents, hardening.known_secrets(self.index, os.environ))
            report = static.check_image(
                contents, image.id, bundle.environment, rulings, self.observer.check
            )
            summary.conclude(report)
        return report

    @contextmanager
    def stage(self, name: str) -> Iterator[Summary]:
        """Time a stage, whose body appends to the summary."""
        self.observer.stage_started(name)
        started = time.monotonic()
        summary = Summary()
        try:
            yield summary
        except BaseException:
            self.observer.stage_failed()
            raise
        seconds = round(time.monotonic() - started, 3)
        self.seconds[name] = round(self.seconds.get(name, 0.0) + seconds, 3)
        self.observer.stage_done(name, seconds, " ".join(summary), summary.status)


def environment_summary(resolved: Environment) -> str:
    """Summarize an environment: "Python 3.11, 14 distributions, 1 version recorded in the file"."""
    texts = {
        "file": "recorded in the file",
        "record": "recorded in training",
        "installed": "installed on this machine",
        "user": "requested",
    }
    origins = list(resolved.origins.values())
    counts = [
        f"{count} version{'' if count == 1 else 's'} {text}"
        for origin, text in texts.items()
        if (count := origins.count(origin))
    ]
    total = f"{len(resolved.requirements)} distributions"
    return ", ".join([f"Python {resolved.python}", total, *counts])
