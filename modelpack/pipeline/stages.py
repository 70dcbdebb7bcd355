"""`Pipeline`: every stage as a timed method."""

from __future__ import annotations

import os
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
from modelpack.engines import Engine, OverridableBase
from modelpack.errors import SmokeFailedError, UsageError
from modelpack.inspection import inspect, require_categories, require_servable, with_trusted
from modelpack.oci.reference import ImageReference
from modelpack.parity import claims
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
    Reference,
    Ruling,
    SmokeReport,
)

from . import wheelhouse
from .inspect import find_code, require_trusted
from .options import Observer, Options

MAX_CONCURRENT_MODEL_BYTES = 256 * 2**20
"""Bytes of a model's files that are loaded in the sandbox and in the service at the same time."""


class Summary(list[str]):
    """A summary of a stage for the terminal.

    Attributes:
        status: "passed" also if the stage tests nothing.
    """

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

    def for_platform(self, platform: str) -> Pipeline:
        """Return the pipeline for one of the requested platforms."""
        run = Pipeline(replace(self.options, platform=platform), self.observer)
        run.seconds = self.seconds
        run.engine = self.engine
        return run

    @property
    def is_static_check(self) -> bool:
        """Return whether an image is only read, because nothing here runs it."""
        return self.engine.foreign_images_are_read and self.platform != self.engine.platform

    @cached_property
    def engine(self) -> Engine:
        if self.options.tag is not None:
            ImageReference.parse_tag(self.options.tag)  # fails now, not after the build
        engine = engines.select_engine(self.options.engine)
        if self.options.tag:
            engine.require_images(f"{self.options.tag} cannot be built", "leave out -t")
        return engine

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
        """The platform of the image.

        Raises:
            UsageError: It is not supported.
        """
        platform = self.options.platform or self.engine.platform
        environment.require_platform(platform)
        return platform

    def inspect(self, paths: Sequence[str | Path]) -> tuple[ModelSpec, Code]:
        """The model, and the code of its author that it needs."""
        with self.stage("inspect") as summary:
            model = inspect(*paths, trust=self.options.trust, select=self.options.select)
            if model.safety.verdict != "trust" or not model.local_modules:
                require_servable(model)
            summary.append(model_summary(model))
        for notice in model.notices:
            self.observer.notice(notice)
        return self._collect(model) if model.local_modules else (model, Code())

    def _collect(self, model: ModelSpec) -> tuple[ModelSpec, Code]:
        """The author's code, and the model with what that needs too."""
        with self.stage("code") as summary:
            code = find_code(model, self.options)
            model = with_trusted(model, code)
            for notice in codes.notices(code):
                self.observer.notice(notice)
            require_trusted(model, code)
            codes.require_found(model, code)
            count = len(code.files)
            summary.append(f"{count} file{'' if count == 1 else 's'} of the author")
        return codes.with_code_requirements(model, code), code

    def resolve(self, model: ModelSpec) -> tuple[Environment, BaseImage]:
        with self.stage("environment") as summary:
            base = self._base(model)
            resolved = environment.resolve(
                model,
                base.python,
                platform=self.platform,
                index=self.index,
                requirements=self.options.requirements,
            )
            summary.append(environment_summary(resolved))
        self.observer.locked(resolved, model)
        if resolved.sdists:
            self.observer.notice(
                f"No wheel of {', '.join(resolved.sdists)} fits: built from source, by a compiler"
                " that does not get into the image."
            )
        return resolved, base

    def _base(self, model: ModelSpec) -> BaseImage:
        wanted, offline = self.options.python, self.options.offline
        if wanted is not None:
            environment.require_python(wanted)
            versions: tuple[str, ...] = (wanted,)
        else:
            versions = environment.candidate_pythons(model, self.options.requirements)
        if offline:
            versions = environment.wheelhouse.pythons(offline, versions, self.platform)
        return self.engine.builder.find_base_image(
            versions, self.options.base_image, platform=self.platform, pull=offline is None
        )

    def override_base(self, bundle: Bundle) -> None:
        """Has the base image of a bundle that is there already be the one that lies elsewhere.

        Raises:
            UsageError: there is none, it does not fit, or the engine takes what the bundle names.
        """
        place = self.options.base_image
        if place is None:
            return
        builder = self.engine.builder
        if not isinstance(builder, OverridableBase):
            raise UsageError(
                "The base image of a bundle is the one that its Dockerfile names.",
                hint="Only --engine oci takes it from elsewhere; else change the Dockerfile.",
            )
        locked = bundle.environment
        builder.override_base_image(place, locked.python, locked.platform)

    def render(
        self, model: ModelSpec, code: Code, directory: Path, claimed: Parity | None = None
    ) -> Bundle:
        """Resolve the environment and render the bundle, which contains the parity claim."""
        resolved, base = self.resolve(model)
        with self.stage("bundle") as summary:
            base = replace(base, slim=self.options.slim_base)
            self._render = partial(bundles.render, model, resolved, base, directory, code)
            bundle = self._render(parity=claimed)
            summary.append(f"on {base.reference}")
        return bundle

    def reference(
        self, model: ModelSpec, paths: Sequence[str | Path] = ()
    ) -> tuple[ModelSpec, Reference]:
        """Return the rows of the smoke test, and the model with the first one as its example."""
        given = self.options
        files = tuple(map(Path, paths))
        sources = parity.ReferenceSources(files, given.example, given.expected, given.tolerance)
        model, rows = parity.prepare(model, sources)
        require_categories(model)
        return model, rows

    def build(self, bundle: Bundle) -> Image | None:
        """The image, without a tag; None where the engine makes none."""
        with self.stage("build") as summary:
            if self.options.offline:
                wheelhouse.require_complete(self.options.offline, bundle, self.engine)
            image = self.build_image(bundle)
            made = f"image of {image.size_bytes / 1e6:.0f} MB" if image else "local environment"
            summary.append(made)
        return image

    def smoke(self, target: str, model: ModelSpec, rows: Reference) -> SmokeReport:
        """`target`: an image's id or reference, or for an engine without images a bundle."""
        with self.stage("smoke") as summary:
            with (
                self._hardening_scan(target) as scanned,
                self._expected_answers(target, model, rows) as answered,
                self.engine.runner.run(target) as service,
            ):
                check = self.observer.check
                report = smoke(service, model, rows, answered, scanned, on_check=check)
            summary.conclude(report)
        return report

    @contextmanager
    def _hardening_scan(self, target: str) -> Iterator[Callable[[], tuple[Ruling, ...]] | None]:
        """Scan an image in parallel, and yield a function that waits for the result."""
        images = self.engine.images
        if images is None:
            yield None
            return
        given = hardening.known_secrets(self.index, os.environ)
        with ThreadPoolExecutor(1) as pool, images.open_image(target) as image:
            yield pool.submit(hardening.scan, image, given).result

    @contextmanager
    def _expected_answers(
        self, target: str, model: ModelSpec, rows: Reference
    ) -> Iterator[Callable[[], Reference]]:
        """Ask the model itself, in a sandbox next to the service that is being started: for the
        answers, unless they are known, and for bodies as pandas writes them. What is yielded waits
        for it.
        """
        if not rows.rows:
            yield lambda: rows
            return
        request = parity.build_request(rows, bodies=True)
        with self.engine.runner.query_model(target, request) as answer:
            if sum(file.size for file in model.files) <= MAX_CONCURRENT_MODEL_BYTES:
                yield lambda: _with_model_answers(rows, answer)
            else:
                completed = _with_model_answers(rows, answer)
                yield lambda: completed

    def build_image(self, bundle: Bundle) -> Image | None:
        step, offline = self.observer.step, bool(self.options.offline)
        with wheelhouse.build_index(
            self.engine, bundle, self.index, step, offline=offline
        ) as index:
            return self.engine.builder.build(bundle, index, step)

    def remove_untagged(self, image: Image) -> None:
        if self.engine.images:
            self.engine.images.remove_untagged(image)

    def correct_claim(self, claimed: Parity | None, report: SmokeReport | None) -> bool:
        """Renders the bundle once more if it claims what was not found, as the test failed or the
        model refused some of the rows that were made up. Whether it did.
        """
        found = self._parity(report)
        if claimed is None or claims.is_same_claim(claimed, found):
            return False
        self._render(parity=found)
        return True

    def _parity(self, report: SmokeReport | None) -> Parity | None:
        """Return the parity that an image with this report may claim."""
        if report is None or not self.options.accepts(report):
            return None
        return claims.UNTESTED if report.status == "untested" else report.parity

    def check_static(self, image: Image, bundle: Bundle) -> SmokeReport:
        """Check an image that this machine does not run."""
        self.observer.notice(
            f"The image for {self.platform} is read and not run here: what the model answers there"
            " is compared with nothing."
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


def _with_model_answers(rows: Reference, answer: Callable[[], bytes]) -> Reference:
    try:
        told = answer()
    except SmokeFailedError as error:
        if rows.answers is not None:
            return rows
        return replace(rows, problem=f"the model does not answer in a sandbox: {error.message}")
    return parity.complete_reference(rows, told)


def model_summary(model: ModelSpec) -> str:
    """A model in a few words: "SVC, scikit-learn 1.3.2, 4 inputs"."""
    name = (model.estimator or "no estimator").rpartition(".")[2]
    library = " ".join(filter(None, (model.framework, model.framework_version)))
    inputs = len(model.signature.inputs)
    return f"{name}, {library}, {inputs} input{'' if inputs == 1 else 's'}"


def environment_summary(resolved: Environment) -> str:
    """An environment in a few words: "Python 3.11, 14 distributions, 1 as recorded in the file"."""
    words = {
        "file": "as recorded in the file",
        "record": "as recorded in training",
        "installed": "as installed here",
        "user": "as you said",
    }
    told = list(resolved.origins.values())
    counts = [f"{told.count(origin)} {text}" for origin, text in words.items() if origin in told]
    total = f"{len(resolved.requirements)} distributions"
    return ", ".join([f"Python {resolved.python}", total, *counts])
