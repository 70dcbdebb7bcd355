"""`build`, `export` and `serve`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from modelpack.attestations import bundle as attested
from modelpack.bundle import manifest
from modelpack.engines.local.engine import LocalRunner
from modelpack.errors import SmokeFailedError, UsageError
from modelpack.smoke import diagnosis
from modelpack.types import Bundle, Image, RunningService

from .compiled import prepare
from .package import bundle_directory, default_reference_from_name
from .sources import is_model
from .stages import Pipeline

_SIGNALS = 128
"""Larger exit codes are those of services that a signal ended."""


def build(run: Pipeline, bundle: Bundle) -> Image:
    """Build the image of a bundle and tag it, without a smoke test.

    Raises:
        BuildFailedError: The image could not be built.
        NoEngineError: The engine builds no images.
    """
    image, reference = build_untagged(run, bundle)
    return run.engine.require_images(f"{reference} cannot be built").tag(image, reference)


def build_untagged(run: Pipeline, bundle: Bundle) -> tuple[Image, str]:
    """Build the image of a bundle, and return it with the reference that it should get.

    Raises:
        BuildFailedError: The image could not be built.
        NoEngineError: The engine builds no images.
    """
    bundle = replace(bundle, slim_base=bundle.slim_base or run.options.slim_base)
    for name in attested.refresh_documents(bundle):
        run.observer.notice(
            f"{name} was edited after the bundle was rendered. The provenance records that, and the"
            " image claims no parity. To test the service, package the model again."
        )
    run.override_base(bundle)
    reference = run.options.tag or default_reference_from_name(bundle.directory.name)
    run.engine.require_images(f"{reference} cannot be built")
    image = run.build(bundle)
    assert image is not None  # noqa: S101 - the engine builds images
    return image, reference


def export(reference: str, target: Path) -> None:
    """Write an image of the daemonless engine to a new file or folder.

    Raises:
        UsageError: There is no such image, or `target` exists.
    """
    # The import takes time, as it imports Docker's SDK.
    from modelpack.engines.daemonless.engine import DaemonlessState, DaemonlessStore  # noqa: PLC0415

    DaemonlessStore(DaemonlessState()).export(reference, target)


def serve(run: Pipeline, paths: Sequence[str | Path], port: int) -> int:
    """Serve a model or a bundle as a local process until it is interrupted. Return its exit code.

    Raises:
        ModelpackError: As `package`.
        UsageError: A bundle came with other paths.
        SmokeFailedError: The service did not start for a known reason, or was stopped because the
            model fails on its own example.
    """
    with _built_bundle(run, paths) as bundle:
        run.observer.notice(f"http://127.0.0.1:{port}/  (Ctrl-C ends it)")
        code, log = LocalRunner().serve(bundle.path, port)
    if code is not None and (code == 0 or code > _SIGNALS):
        return code
    if cause := diagnosis.find_cause(log):
        raise SmokeFailedError(cause[0], hint=cause[1])
    if code is None:
        raise SmokeFailedError(
            "The model fails on its own example, so the service was stopped.",
            hint="The log above shows the cause. If the model needs other rows than the"
            " example, give some of the training data: --example FILE",
        )
    return code


@contextmanager
def run_locally(
    run: Pipeline, paths: Sequence[str | Path], port: int, variables: Mapping[str, str]
) -> Iterator[tuple[Bundle, RunningService]]:
    """Run the service of a model or a bundle, until the context ends. Port 0 is any free one.

    Raises:
        ModelpackError: As `serve`.
    """
    with (
        _built_bundle(run, paths) as bundle,
        LocalRunner().run(bundle.path, port, variables) as service,
    ):
        yield bundle, service


@contextmanager
def _built_bundle(run: Pipeline, paths: Sequence[str | Path]) -> Iterator[Bundle]:
    """Yield the bundle of a model, or the bundle itself, with its environment on this machine."""
    if any(Path(path).is_dir() and not is_model(Path(path)) for path in paths):
        if len(paths) > 1:
            raise UsageError(
                "A bundle is served alone, without further files.",
                hint="Run: modelpack serve BUNDLE",
            )
        bundle = manifest.read(paths[0])
        run.build(bundle)
        yield bundle
        return
    with prepare(run, paths) as (run, model, code):  # noqa: PLR1704 - the run of what follows
        if manifest.example(model) is None:
            run.observer.notice(
                "No prediction is tested before the service listens, because the model file does"
                " not contain what a row looks like. Save rows in the training script with"
                " X[:20].to_csv('rows.csv', index=False), and add: --example rows.csv"
            )
        with bundle_directory(None) as directory:
            bundle = run.render(model, code, directory)
            run.build(bundle)
            yield bundle
