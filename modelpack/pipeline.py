"""The arrows in a row: a model file in, a proven image out.

    inspect -> (code) -> environment -> bundle -> build -> smoke

Every stage reports to an `Observer`; the command line draws what it is told.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from modelpack import bundle as bundles
from modelpack import code as codes
from modelpack import engines, environment, reaper, reference
from modelpack.engines import DebianPackages, Engine, StepEvent, references
from modelpack.engines.process import ProcessEngine
from modelpack.environment.requirements import from_user
from modelpack.errors import (
    ModelpackError,
    ModelRefusedError,
    NoEngineError,
    SmokeFailedError,
    UsageError,
)
from modelpack.inspection import inspect, require_servable, settled
from modelpack.smoke import causes, smoke
from modelpack.spec import (
    BaseImage,
    Bundle,
    Check,
    Code,
    Environment,
    Image,
    IndexSettings,
    ModelSpec,
    Parity,
    Reference,
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
    `select`: the estimators to take from a file that holds several. `example`: rows (csv, json,
    jsonl, npy, parquet), `expected`: the predictions of them, for the smoke test to compare with.
    `tolerance`: the largest relative difference of floats that it lets pass.
    `code`: folders and files of the author's own modules; `code_vouched`: what is defined there
    may be loaded without `trust`.
    `platform`: else the engine's. `offline`: a wheelhouse, which takes the place of the network.
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
    platform: str | None = None
    offline: Path | None = None
    smoke: bool = True
    example: Path | None = None
    expected: Path | None = None
    tolerance: float = 0.0


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
                "warnings": list(self.environment.warnings),
                "sdists": list(self.environment.sdists),
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
    def locked(self, environment: Environment, model: ModelSpec) -> None: ...
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
        for problem in [] if self.options.offline else environment.unsupported_settings():
            self.observer.notice(problem)
        return environment.index_settings(
            index_url=self.options.index_url,
            ca_cert=str(ca_cert) if ca_cert else None,
            wheelhouse=self.options.offline,
        )

    @cached_property
    def platform(self) -> str:
        """Raises:
        UsageError: there is no lock for it.
        """
        platform = self.options.platform or self.engine.platform
        environment.require_platform(platform)
        return platform

    def inspect(self, paths: Sequence[str | Path]) -> tuple[ModelSpec, Code]:
        """The model, and the code of its author that it needs."""
        with self._stage("inspect") as summary:
            model = inspect(*paths, trust=self.options.trust, select=self.options.select)
            if model.safety.verdict != "trust" or not model.local_modules:
                require_servable(model)
            summary.append(describe(model))
        return self._collect(model) if model.local_modules else (model, Code())

    def _collect(self, model: ModelSpec) -> tuple[ModelSpec, Code]:
        """The author's code, and the model with what that needs too."""
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
            base = self._base(model)
            resolved = environment.resolve(
                model,
                base.python,
                platform=self.platform,
                index=self.index,
                requirements=self.options.requirements,
            )
            summary.append(describe_environment(resolved))
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
            versions = environment.python_versions(model, self.options.requirements)
        if offline:
            versions = environment.wheelhouse.pythons(offline, versions, self.platform)
        return self.engine.find_base(
            versions, self.options.base_image, platform=self.platform, pull=offline is None
        )

    def download(self, model: ModelSpec, folder: Path) -> Environment:
        """Makes a wheelhouse for `offline`."""
        resolved, base = self.resolve(model)
        house, stages = environment.wheelhouse, bundles.debian_packages(model, resolved)
        with self._stage("download") as summary:
            house.fill(folder, resolved, base, self.index, self._fetched)
            packages = DebianPackages(base, resolved.platform, stages)
            self.engine.fetch_debian(
                packages, folder / house.DEBIAN, self.index, self.observer.step
            )
            house.seal(folder)
            sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
            summary.append(f"{len(sizes)} files, {sum(sizes) / 1e6:.0f} MB")
        if stages and self.engine.name == "process":
            names = ", ".join(name for stage in stages.values() for name in stage)
            self.observer.notice(f"Without Docker, no Debian packages were fetched: {names}.")
        return resolved

    def _fetched(self, name: str, _: int) -> None:
        self.observer.step(StepEvent(name, "done"))

    def render(self, model: ModelSpec, code: Code, directory: Path) -> Bundle:
        resolved, base = self.resolve(model)
        with self._stage("bundle") as summary:
            bundle = bundles.render(model, resolved, base, directory, code)
            summary.append(f"on {base.reference}")
        return bundle

    def reference(
        self, model: ModelSpec, paths: Sequence[str | Path] = ()
    ) -> tuple[ModelSpec, Reference]:
        """The rows that the smoke test asks for, and the model with the first as its example."""
        given = self.options
        files = tuple(map(Path, paths))
        sources = reference.Sources(files, given.example, given.expected, given.tolerance)
        return reference.prepare(model, sources)

    def build(self, bundle: Bundle) -> Image | None:
        """The image, without a tag; None where the engine makes none."""
        with self._stage("build") as summary:
            if self.options.offline:
                self._require_wheelhouse(self.options.offline, bundle)
            image = self.engine.build(bundle, self.index, self.observer.step)
            made = f"image of {image.size_bytes / 1e6:.0f} MB" if image else "local environment"
            summary.append(made)
        return image

    def _require_wheelhouse(self, folder: Path, bundle: Bundle) -> None:
        house, locked = environment.wheelhouse, bundle.environment
        house.require_fit(folder, locked.python, locked.platform)
        house.require_files(folder, locked)
        if self.engine.name != "process":
            house.require_debian(folder, bundles.debian_packages(bundle.model, locked))

    def smoke(self, target: str, model: ModelSpec, rows: Reference) -> SmokeReport:
        """`target`: an image's id or reference, or for an engine without images a bundle."""
        if not (model.signature.inputs or rows.rows):
            self.observer.notice(
                "The model file does not tell what a row looks like, so no prediction is tried. "
                "--example FILE gives rows."
            )
        with self._stage("smoke") as summary:
            compared = self._answered(target, rows)
            with self.engine.run(target) as service:
                report = smoke(service, model, compared, on_check=self.observer.check)
            passed = sum(check.passed for check in report.checks)
            summary.append(f"{passed} of {len(report.checks)} checks passed")
        return report

    def _answered(self, target: str, rows: Reference) -> Reference:
        """Where nobody says what the answers are, the model itself does, in a sandbox."""
        if rows.answers is not None or not rows.rows:
            return rows
        try:
            told = self.engine.ask(target, reference.question(rows))
        except SmokeFailedError as error:
            return replace(rows, problem=f"the model does not answer in a sandbox: {error.message}")
        return reference.completed(rows, told)

    def named(self, bundle: Bundle, image: Image, report: SmokeReport | None) -> Image:
        """The image under its name; one that was compared says in its labels with what."""
        if report and report.parity:
            labels = parity_labels(report.parity)
            image = self.engine.build(bundle, self.index, self.observer.step, labels) or image
        try:
            return self.engine.tag(image, self.options.tag or default_reference(bundle.model))
        except BaseException:
            self.engine.discard(image)
            raise

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
    found, code = run.inspect(paths)
    model, rows = run.reference(found, paths)
    run.engine.require_runs(run.platform)
    with bundle_folder(_kept(run, model)) as directory:
        bundle = run.render(model, code, directory)
        image = run.build(bundle)
        report = None
        try:
            if run.options.smoke:
                report = run.smoke(image.id if image else bundle.path, model, rows)
            named = None
            if image and (report is None or report.passed):
                named = run.named(bundle, image, report)
        finally:
            if image:  # if it has no name itself
                run.engine.discard(image)
    kept = bundle.path if Path(bundle.path).exists() else None
    return Package(model, bundle.environment, kept, named, report, run.seconds, code)


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
    SmokeFailedError: a check failed; it says why the service did not start, or names them.
    """
    if report.passed:
        return
    failed = ", ".join(check.name for check in report.checks if not check.passed)
    message, hint = causes.explain(report) or (
        f"The service does not answer as it must: {failed}.",
        "`modelpack package MODEL -o DIR --no-smoke` keeps the bundle to look into.",
    )
    raise SmokeFailedError(message, hint=hint)


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


def lock(
    run: Run, paths: Sequence[str | Path], output: Path | None, download: Path | None
) -> Environment:
    """The environment of a model; its lock in the file `output`, its files in the folder
    `download`, where these are given.

    Raises:
        ModelpackError: as `package`.
        UsageError: `output` cannot be written, or what is offline is to be downloaded.
    """
    if download and run.options.offline:
        raise UsageError(
            "A wheelhouse is not made without a network.", hint="Leave out one: --offline"
        )
    found, _ = run.inspect(paths)
    model, _ = run.reference(found, paths)
    resolved = run.download(model, download) if download else run.resolve(model)[0]
    if output:
        _write(output, resolved.lock)
    return resolved


def _write(path: Path, text: str) -> None:
    try:
        with reaper.scratch_folder(f".{path.name}.", path.absolute().parent) as folder:
            (folder / path.name).write_text(text, "utf-8")
            (folder / path.name).replace(path)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}.", hint="Choose another file with -o."
        ) from error


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


def parity_labels(parity: Parity) -> dict[str, str]:
    return {
        "dev.modelpack.parity": f"within {parity.tolerance:g}" if parity.tolerance else "exact",
        "dev.modelpack.parity.reference": parity.source,
        "dev.modelpack.parity.rows": str(parity.rows),
    }


def smoke_target(run: Run, target: str) -> SmokeReport:
    """Judges an image by its reference, or a bundle by its folder.

    Raises:
        UsageError: the target is neither.
        NoEngineError: an image, and no container engine answers.
    """
    if Path(target).is_dir():
        bundle = bundles.read(target)
        run.build(bundle)
        return run.smoke(bundle.path, *run.reference(bundle.model))
    model = bundles.model_of(run.engine.manifest(target))
    return run.smoke(target, *run.reference(model))


def serve(run: Run, paths: Sequence[str | Path], port: int) -> int:
    """Serves the model as a local process until it is interrupted; its exit code.

    Raises:
        ModelpackError: as `package`.
    """
    found, code = run.inspect(paths)
    model, _ = run.reference(found, paths)
    with bundle_folder(None) as directory:
        bundle = run.render(model, code, directory)
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


def describe_environment(resolved: Environment) -> str:
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
