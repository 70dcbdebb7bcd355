"""The arrows in a row: a model file in, a proven image out.

    inspect -> (code) -> environment -> bundle -> build -> smoke

Every stage reports to an `Observer`; the command line draws what it is told.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from modelpack import bundle as bundles
from modelpack import code as codes
from modelpack import engines, environment, reaper
from modelpack.engines import Engine, StepEvent, references
from modelpack.engines.process import ProcessEngine
from modelpack.environment.requirements import from_user
from modelpack.errors import ModelpackError, ModelRefusedError, NoEngineError, SmokeFailedError
from modelpack.inspection import inspect, require_servable, settled
from modelpack.smoke import smoke
from modelpack.spec import (
    BaseImage,
    Bundle,
    Check,
    Code,
    Environment,
    Image,
    IndexSettings,
    ModelSpec,
    SmokeReport,
    to_json,
)


@dataclass(frozen=True)
class Options:
    """What `package` may be told.

    `tag`: the image's reference; made from the file's name where None. `output`: the folder in
    which the bundle is kept; where None, an image's bundle is not kept, and a bundle without an
    image is written beside the current directory's other files. `requirements`: further or
    overriding requirements (PEP 508). `trust`: "module:name" of code outside the allowlist.
    `select`: the estimators to take from a file that holds several. `code`: folders and files of
    the author's own modules; `code_vouched`: what is defined there may be loaded without `trust`.
    """

    tag: str | None = None
    output: Path | None = None
    engine: str = "auto"
    base_image: str | None = None
    python: str | None = None
    requirements: tuple[str, ...] = ()
    trust: tuple[str, ...] = ()
    select: tuple[str, ...] = ()
    code: tuple[Path, ...] = ()
    code_vouched: bool = True
    ca_cert: Path | None = None
    index_url: str | None = None
    smoke: bool = True


@dataclass(frozen=True)
class Package:
    """What `package` made. `bundle` is None where it was not kept, `image` where no container
    engine is there, `smoke` where it was not wanted. `seconds` per stage.
    """

    model: ModelSpec
    environment: Environment
    bundle: str | None
    image: Image | None
    smoke: SmokeReport | None
    seconds: Mapping[str, float]
    code: Code = field(default_factory=Code)

    def to_json(self) -> dict[str, Any]:
        """The document of `modelpack package --json`."""
        image = self.image
        return {
            "model": to_json(self.model),
            "environment": {
                "python": self.environment.python,
                "platform": self.environment.platform,
                "requirements": dict(self.environment.requirements),
                "origins": dict(self.environment.origins),
            },
            "code": to_json(self.code),
            "bundle": self.bundle,
            "image": image
            and {"reference": image.reference, "id": image.id, "size_bytes": image.size_bytes},
            "smoke": self.smoke and to_json(self.smoke),
            "seconds": dict(self.seconds),
        }


class Observer:
    """Told of everything that happens; does nothing by itself."""

    def stage_started(self, name: str) -> None: ...
    def stage_done(self, name: str, seconds: float, summary: str) -> None: ...
    def stage_failed(self) -> None: ...
    def step(self, event: StepEvent) -> None: ...
    def check(self, check: Check) -> None: ...
    def notice(self, message: str) -> None: ...


class Run:
    """One go through the flow: each arrow a method, timed, and told to the observer."""

    def __init__(self, options: Options, observer: Observer | None = None) -> None:
        self.options = options
        self.observer = observer or Observer()
        self.seconds: dict[str, float] = {}

    @cached_property
    def engine(self) -> Engine:
        if self.options.tag is not None:
            references.parse(self.options.tag)  # told now, not after the build
        engine = engines.select(self.options.engine)
        if engine.name == "process" and self.options.tag:
            raise NoEngineError(
                f"The image {self.options.tag} cannot be built: that takes a container engine.",
                hint="Start Docker (`modelpack doctor` says what is missing), or leave out -t to "
                "get a bundle tested as a local process.",
            )
        return engine

    @cached_property
    def index(self) -> IndexSettings:
        ca_cert = self.options.ca_cert
        return environment.index_settings(
            index_url=self.options.index_url, ca_cert=str(ca_cert) if ca_cert else None
        )

    def inspect(self, paths: Sequence[str | Path]) -> ModelSpec:
        with self._stage("inspect") as summary:
            model = inspect(*paths, trust=self.options.trust, select=self.options.select)
            if model.safety.verdict != "trust" or not model.local_modules:
                require_servable(model)
            summary.append(describe(model))
        return model

    def collect(self, model: ModelSpec) -> tuple[ModelSpec, Code]:
        """The author's code, and the model with what that needs too. Most models need none."""
        if not model.local_modules:
            return model, Code()
        with self._stage("code") as summary:
            code = find_code(model, self.options)
            model = settled(model, code.defined)
            for notice in codes.notices(code):
                self.observer.notice(notice)
            require_trusted(model, code)
            codes.require_found(model, code)
            count = len(code.files)
            summary.append(f"{count} file{'' if count == 1 else 's'} of the author")
        return codes.needing(model, code), code

    def resolve(self, model: ModelSpec) -> tuple[Environment, BaseImage]:
        with self._stage("environment") as summary:
            wanted, user = self.options.python, self.options.requirements
            if wanted is not None:
                environment.require_python(wanted)
            versions = (wanted,) if wanted else environment.python_versions(model, user)
            base = self.engine.find_base(versions, self.options.base_image)
            platform = self.engine.platform
            resolved = environment.resolve(
                model, base.python, platform=platform, index=self.index, requirements=user
            )
            summary.append(f"Python {base.python}, {len(resolved.requirements)} distributions")
        return resolved, base

    def render(self, model: ModelSpec, directory: Path) -> Bundle:
        model, code = self.collect(model)
        resolved, base = self.resolve(model)
        with self._stage("bundle") as summary:
            bundle = bundles.render(model, resolved, base, directory, code)
            summary.append(f"on {base.reference}")
        return bundle

    def build(self, bundle: Bundle) -> Image | None:
        """The image, without a tag; None where the engine makes none."""
        with self._stage("build") as summary:
            image = self.engine.build(bundle, self.index, self.observer.step)
            made = f"image of {image.size_bytes / 1e6:.0f} MB" if image else "local environment"
            summary.append(made)
        return image

    def smoke(self, target: str, model: ModelSpec) -> SmokeReport:
        """`target`: an image's id or reference, or for an engine without images a bundle."""
        if not model.signature.inputs:
            self.observer.notice(
                "The model file does not tell what a row looks like, so no prediction is tried."
            )
        with self._stage("smoke") as summary, self.engine.run(target) as service:
            report = smoke(service, model, on_check=self.observer.check)
            passed = sum(check.passed for check in report.checks)
            summary.append(f"{passed} of {len(report.checks)} checks passed")
        return report

    @contextmanager
    def _stage(self, name: str) -> Iterator[list[str]]:
        """Times a stage; the body appends the line that sums it up."""
        self.observer.stage_started(name)
        started = time.monotonic()
        summary: list[str] = []
        try:
            yield summary
        except BaseException:
            self.observer.stage_failed()
            raise
        self.seconds[name] = round(time.monotonic() - started, 3)
        self.observer.stage_done(name, self.seconds[name], " ".join(summary))


def package(
    paths: Sequence[str | Path], options: Options | None = None, observer: Observer | None = None
) -> Package:
    """Inspects, locks, renders, builds and smoke-tests the model that lies in these files.

    An image gets its tag only once it has passed; one that failed is removed. Where there is no
    container engine, the bundle itself is tested as a local process, and kept.

    Raises:
        ModelpackError: the class tells the stage that failed. A smoke test that failed raises
            nothing: look at `Package.smoke.passed`.
    """
    run = Run(options or Options(), observer)
    model = run.inspect(paths)
    with bundle_folder(_kept(run, model)) as directory:
        bundle = run.render(model, directory)
        image = run.build(bundle)
        report = None
        try:
            if run.options.smoke:
                report = run.smoke(image.id if image else bundle.path, model)
            if image and (report is None or report.passed):
                image = run.engine.tag(image, run.options.tag or default_reference(model))
        finally:
            if image and not image.reference:
                run.engine.discard(image)
    kept = bundle.path if Path(bundle.path).exists() else None
    return Package(model, bundle.environment, kept, image, report, run.seconds, bundle.code)


def find_code(model: ModelSpec, options: Options) -> Code:
    """The author's own code that the model needs, as `Options` say where it is."""
    named = tuple(requirement.name for requirement in from_user(options.requirements))
    return codes.find(model, codes.Given(options.code, options.code_vouched, named))


def look(model: ModelSpec, options: Options) -> tuple[ModelSpec, Code, ModelpackError | None]:
    """What `inspect` tells of a model: with the author's code that was found, and what speaks
    against packaging it.
    """
    code = Code()
    try:
        if model.local_modules and model.safety.verdict != "refuse":
            code = find_code(model, options)
            model = settled(model, code.defined)
        require_trusted(model, code)
    except ModelpackError as problem:
        return model, code, problem
    return model, code, None


def require_trusted(model: ModelSpec, code: Code) -> None:
    """Raises:
    ModelNotSupportedError: as `require_servable`.
    ModelRefusedError: as `require_servable`; it also tells where the author's code is.
    """
    try:
        require_servable(model)
    except ModelRefusedError as refusal:
        if model.safety.verdict == "refuse":
            raise
        raise codes.explained(refusal, model, code) from None


def require_passed(report: SmokeReport) -> None:
    """Raises:
    SmokeFailedError: a check failed; it names them.
    """
    if report.passed:
        return
    failed = ", ".join(check.name for check in report.checks if not check.passed)
    raise SmokeFailedError(
        f"The service does not answer as it must: {failed}.",
        hint="`modelpack package MODEL -o DIR --no-smoke` keeps the bundle to look into.",
    )


def _kept(run: Run, model: ModelSpec) -> Path | None:
    """Where the bundle is to stay. Without images it is all that there is, and stays anyway."""
    if run.options.output or run.engine.name != "process":
        return run.options.output
    folder = Path(f"{Path(_main_file(model)).stem}-bundle")
    run.observer.notice(
        f"No image is built: the service is tested as a local process, and its bundle kept in "
        f"{folder}."
    )
    return folder


def build(run: Run, bundle: Bundle) -> Image:
    """The image of a bundle, under its name, without a smoke test.

    Raises:
        BuildFailedError: the image could not be built.
        NoEngineError: the engine makes no images.
    """
    image = run.build(bundle)
    if image is None:
        raise NoEngineError("A local process makes no images.", hint="Start Docker.")
    return run.engine.tag(image, run.options.tag or _reference(bundle.directory.name))


def smoke_target(target: str, observer: Observer | None = None) -> SmokeReport:
    """Judges an image by its reference, or a bundle by its folder.

    Raises:
        UsageError: the target is neither.
        NoEngineError: an image, and no container engine answers.
    """
    if Path(target).is_dir():
        run = Run(Options(engine="process"), observer)
        bundle = bundles.read(target)
        run.build(bundle)
        return run.smoke(bundle.path, bundle.model)
    run = Run(Options(engine="docker"), observer)
    return run.smoke(target, bundles.model_of(run.engine.manifest(target)))


def serve(run: Run, paths: Sequence[str | Path], port: int) -> int:
    """Serves the model as a local process until it is interrupted; its exit code.

    Raises:
        ModelpackError: as `package`.
    """
    model = run.inspect(paths)
    with bundle_folder(None) as directory:
        bundle = run.render(model, directory)
        run.build(bundle)
        run.observer.notice(f"http://127.0.0.1:{port}/  (Ctrl-C ends it)")
        return ProcessEngine().serve(bundle.path, port)


@contextmanager
def bundle_folder(output: Path | None) -> Iterator[Path]:
    """The folder to render into: the one asked for, or one that is gone afterwards."""
    if output is not None:
        yield output
        return
    with reaper.scratch_folder() as folder:
        yield folder / "bundle"


def describe(model: ModelSpec) -> str:
    """A model in a few words: "SVC, scikit-learn 1.3.2, 4 inputs"."""
    name = (model.estimator or "no estimator").rpartition(".")[2]
    library = " ".join(filter(None, (model.framework, model.framework_version)))
    inputs = len(model.signature.inputs)
    return f"{name}, {library}, {inputs} input{'' if inputs == 1 else 's'}"


def default_reference(model: ModelSpec) -> str:
    """A reference made of the file's name, or of its folder's where all files are called model."""
    path = Path(_main_file(model)).absolute()
    return _reference(path.parent.name if path.stem == "model" else path.stem)


def _main_file(model: ModelSpec) -> str:
    """The path of the file that predicts, the last of them."""
    return model.files[-1].path


def _reference(name: str) -> str:
    """Docker allows lower-case letters and digits with single separators between them."""
    return f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-') or 'model'}:latest"
