"""The flow from end to end, and the parts of it that a person asks for alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from modelpack import engines, processes
from modelpack.attestations import bundle as attested
from modelpack.bundle import manifest
from modelpack.engines.local.engine import LocalEngine
from modelpack.errors import NoEngineError, SmokeFailedError, UsageError
from modelpack.smoke import diagnosis, static
from modelpack.types import Bundle, Environment, Image, ModelSpec, SmokeReport

from . import making, wheelhouses
from .names import main_file, reference_of
from .options import Observer, Options, Package
from .run import Run

ROWS_HINT = (
    "Give real rows: --example FILE. Or call modelpack.record(model, X, path) where the model is"
    " trained. --allow-untested accepts the service as it is."
)
"""What to do if no prediction was tested."""


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
    engines.preload(run.options.engine)
    found, code = run.inspect(paths)
    model, rows = run.reference(found, paths)
    _notice_untested(run, model)
    with bundle_folder(_kept(run, model)) as directory, ExitStack() as stack:
        made: list[making.Made] = []
        for each, folder in making.platforms(run, directory):
            made.append(stack.enter_context(making.made(each, model, code, rows, folder)))
            if not made[-1].accepted:
                break
        named = making.named(run, made)
    first, decisive = made[0], next((each for each in made if not each.accepted), made[0])
    kept = str(directory.resolve()) if directory.exists() else None
    several = tuple(each.told() for each in made) if len(made) > 1 else ()
    locked = first.bundle.environment
    report, engine = decisive.report, run.engine.name
    return Package(model, locked, kept, named, report, run.seconds, code, several, engine)


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
    is_read = report.engine == static.NAME
    what = "is not what it must be" if is_read else "does not answer as it must"
    message, hint = diagnosis.diagnose(report) or (
        f"The {'image that was read' if is_read else 'service'} {what}: {failed}.",
        "`modelpack package MODEL -o DIR --no-smoke` keeps the bundle to look into.",
    )
    raise SmokeFailedError(message, hint=hint)


def _notice_untested(run: Run, model: ModelSpec) -> None:
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


def _kept(run: Run, model: ModelSpec) -> Path | None:
    """Where the bundle is to stay. Without images it is all that there is, and stays anyway."""
    if run.options.output or run.engine.name != "process":
        return run.options.output
    folder = Path(f"{Path(main_file(model)).stem}-bundle")
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
    resolved = wheelhouses.download(run, model, download) if download else run.resolve(model)[0]
    if output:
        _write(output, resolved.lock)
    return resolved


def _write(path: Path, text: str) -> None:
    try:
        with processes.scratch_folder(f".{path.name}.", path.absolute().parent) as folder:
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
    bundle = replace(bundle, slim_base=bundle.slim_base or run.options.slim_base)
    for name in attested.refresh_documents(bundle):
        run.observer.notice(
            f"{name} is not as it was rendered: the bundle's provenance now says so, and its image"
            " claims no parity. To have it tested, package the model anew."
        )
    run.take_base(bundle)
    image = run.build(bundle)
    if image is None:
        raise NoEngineError("A local process makes no images.", hint="Start Docker.")
    return run.engine.tag(image, run.options.tag or reference_of(bundle.directory.name))


def export(reference: str, target: Path) -> None:
    """Writes an image that the embedded engine keeps to a new file or folder.

    Raises:
        UsageError: there is no such image, or something is there already.
    """
    from modelpack.engines.daemonless.engine import DaemonlessEngine  # noqa: PLC0415 - with the SDK of Docker

    DaemonlessEngine().export(reference, target)


def smoke_target(run: Run, target: str) -> SmokeReport:
    """Judges an image by its reference, or a bundle by its folder.

    Raises:
        UsageError: the target is neither.
        NoEngineError: an image, and no container engine answers.
    """
    if Path(target).is_dir():
        bundle = manifest.read(target)
        with runnable(run, bundle) as name:
            return run.smoke(name, *run.reference(bundle.model))
    model = manifest.model_of(run.engine.manifest(target))
    return run.smoke(target, *run.reference(model))


@contextmanager
def runnable(run: Run, bundle: Bundle) -> Iterator[str]:
    """What the engine runs for a bundle: an image that is there for the block only, or where it
    makes none the bundle itself.
    """
    run.take_base(bundle)
    image = run.build(bundle)
    try:
        yield image.id if image else bundle.path
    finally:
        if image:
            run.engine.discard(image)


def serve(run: Run, paths: Sequence[str | Path], port: int) -> int:
    """Serve a model, or the bundle in a folder, as a local process until it is interrupted.

    Returns:
        The exit code of the service.

    Raises:
        ModelpackError: As `package`.
        UsageError: A bundle came with other paths.
    """
    if any(Path(path).is_dir() for path in paths):
        if len(paths) > 1:
            raise UsageError(
                "A bundle is served alone, without further files.",
                hint="Run: modelpack serve BUNDLE",
            )
        return _serve(run, manifest.read(paths[0]), port)
    found, code = run.inspect(paths)
    model, _ = run.reference(found, paths)
    if manifest.example(model) is None:
        run.observer.notice(
            "No prediction is tested before the service listens, because the model file does not"
            " contain what a row looks like. --example FILE gives rows."
        )
    with bundle_folder(None) as directory:
        return _serve(run, run.render(model, code, directory), port)


def _serve(run: Run, bundle: Bundle, port: int) -> int:
    run.build(bundle)
    run.observer.notice(f"http://127.0.0.1:{port}/  (Ctrl-C ends it)")
    return LocalEngine().serve(bundle.path, port)


@contextmanager
def bundle_folder(output: Path | None) -> Iterator[Path]:
    """The folder to render into: the one asked for, or one that is gone afterwards."""
    if output is not None:
        yield output
        return
    with processes.scratch_folder() as folder:
        yield folder / "bundle"
