"""`build`, `export`, `serve`, and the temporary image of a bundle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from modelpack.attestations import bundle as attested
from modelpack.bundle import manifest
from modelpack.errors import UsageError
from modelpack.pipeline.package import _serve, bundle_directory
from modelpack.types import Bundle, Image

from .package import default_reference_from_name
from .stages import Pipeline


def build(run: Pipeline, bundle: Bundle) -> Image:
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
    run.override_base(bundle)
    reference = run.options.tag or default_reference_from_name(bundle.directory.name)
    images = run.engine.require_images(f"{reference} cannot be built")
    image = run.build(bundle)
    assert image is not None  # noqa: S101 - the engine builds images
    return images.tag(image, reference)


def export(reference: str, target: Path) -> None:
    """Writes an image that the embedded engine keeps to a new file or folder.

    Raises:
        UsageError: there is no such image, or something is there already.
    """
    # The import takes time, as it imports Docker's SDK.
    from modelpack.engines.daemonless.engine import DaemonlessState, DaemonlessStore  # noqa: PLC0415

    DaemonlessStore(DaemonlessState()).export(reference, target)


@contextmanager
def temporary_image(run: Pipeline, bundle: Bundle) -> Iterator[str]:
    """What the engine runs for a bundle: an image that is there for the block only, or where it
    makes none the bundle itself.
    """
    run.override_base(bundle)
    image = run.build(bundle)
    try:
        yield image.id if image else bundle.path
    finally:
        if image:
            run.remove_untagged(image)


def serve(run: Pipeline, paths: Sequence[str | Path], port: int) -> int:
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
    with bundle_directory(None) as directory:
        return _serve(run, run.render(model, code, directory), port)
