"""The functions of `import modelpack`, for scripts, notebooks and tests.

Each does the same as the command with its name. Results are the values of the flow, which notebooks
show as tables (`notebook.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelpack.errors import UsageError

if TYPE_CHECKING:
    from modelpack.api.service import ServedModel
    from modelpack.comparison import Difference
    from modelpack.pipeline.options import Observer
    from modelpack.pipeline.package import PackageResult
    from modelpack.types import ModelSpec

__all__ = ["diff", "inspect", "package", "record", "serve"]

Path_ = str | PathLike[str]
Rows = Any
"""A DataFrame, an array, a list of rows, or the path of a file with rows."""


def inspect(
    path: Path_,
    *more: Path_,
    trust: Sequence[str] = (),
    select: Sequence[str] = (),
    code: Sequence[Path_] = (),
    sha256: Sequence[str] = (),
) -> ModelSpec:
    """Inspect the file or files of a model without executing anything in them.

    Args:
        path: A file, a folder of MLflow or a zip archive of one, or an address.
        more: Further files of the model, in the order in which rows pass through them.
        trust: Names outside the allowlist that the file may refer to, as "module:name".
        select: Estimators to take from a file that contains several.
        code: Folders or files of the author's modules, whose definitions are trusted.
        sha256: Digests of the files at https:// addresses, in the order of these.

    Returns:
        The facts about the model; `safety.verdict` states whether it is safe to load.

    Raises:
        modelpack.errors.UsageError: A file does not exist, or does not contain what is selected.
        modelpack.errors.ModelpackError: An address cannot be read; a subclass for each reason.
    """
    from modelpack.inspection import inspect as read
    from modelpack.pipeline.inspect import inspect_with_code, require_code_paths
    from modelpack.pipeline.options import Options
    from modelpack.pipeline.sources import open_models

    options = Options(sha256=tuple(sha256), code=tuple(map(Path, code)))
    require_code_paths(options)
    with open_models(_paths(path, *more), options) as models:
        spec = read(*models.paths, trust=tuple(trust), select=tuple(select))
        if code:
            spec, _, _ = inspect_with_code(spec, options)
        return models.describe(spec)


def package(
    path: Path_,
    *more: Path_,
    tag: str | None = None,
    output: Path_ | None = None,
    force: bool = False,
    engine: str = "auto",
    example: Rows | None = None,
    expected: Rows | None = None,
    tolerance: float = 0.0,
    allow_untested: bool = False,
    smoke: bool = True,
    title: str | None = None,
    description: str | None = None,
    trust: Sequence[str] = (),
    select: Sequence[str] = (),
    code: Sequence[Path_] = (),
    sha256: Sequence[str] = (),
    compiled: bool = False,
    python: str | None = None,
    requirements: Sequence[str] = (),
    base_image: str | None = None,
    slim_base: bool = False,
    cache_from: Sequence[str] = (),
    cache_to: Sequence[str] = (),
    platform: str | None = None,
    index_url: str | None = None,
    ca_cert: Path_ | None = None,
    offline: Path_ | None = None,
    progress: bool = False,
) -> PackageResult:
    """Package a model as a tested image.

    Args:
        path: A file, a folder of MLflow or a zip archive of one, or an address.
        more: Further files of the model, in the order in which rows pass through them.
        tag: Reference of the image (default: from the file name).
        output: Folder in which the bundle is kept.
        force: Replace a bundle in `output` whose files were edited.
        engine: "auto", "docker", "podman", "oci" or "process".
        example: Rows for the smoke test: a DataFrame, an array, a list, or a file.
        expected: Predictions of these rows: an array, a list, or a file.
        tolerance: Relative difference of floats that counts as equal (0: bit for bit).
        allow_untested: Accept a service of which no prediction could be tested.
        smoke: Run the image and test it.
        title: What people call the model (default: the one in the record).
        description: What the model is for, as plain text (default: the one in the record).
        trust: Names outside the allowlist that the file may refer to, as "module:name".
        select: Estimators to take from a file that contains several.
        code: Folders or files of the author's modules, whose definitions are trusted.
        sha256: Digests of the files at https:// addresses, in the order of these.
        compiled: Serve the model as numbers, without its library and without pickle.
        python: Version of Python, such as "3.11" (default: one that fits the file).
        requirements: PEP 508 requirements that add to those of the model or override them.
        base_image: Base image (default: the official slim Python image).
        slim_base: Remove from the base image what the service does not need.
        cache_from: Build caches to import, as of `docker buildx build`.
        cache_to: Where to export the build cache to, such as "type=registry,ref=REF".
        platform: "linux/amd64", "linux/arm64", or both, separated by a comma.
        index_url: Package index (default: the one of pip or uv).
        ca_cert: CA certificates for the package index, a PEM file.
        offline: Folder of `modelpack lock --download`, to use instead of the network.
        progress: Print each stage to stderr.

    Returns:
        The image, its environment, the bundle if it was kept, and the smoke report.

    Raises:
        modelpack.errors.ModelpackError: A subclass for each kind of failure. `SmokeFailedError` if
            the image was built, but a check failed.
    """
    from modelpack.pipeline import package as pipeline_package
    from modelpack.pipeline.options import Options
    from modelpack.pipeline.smoke import require_passed

    with ExitStack() as stack:
        options = Options(
            tag=tag,
            output=_path(output),
            force=force,
            engine=engine,
            example=_row_file(stack, example),
            expected=_row_file(stack, expected),
            tolerance=tolerance,
            allow_untested=allow_untested,
            smoke=smoke,
            title=title,
            description=description,
            trust=tuple(trust),
            select=tuple(select),
            code=tuple(map(Path, code)),
            sha256=tuple(sha256),
            compiled=compiled,
            python=python,
            requirements=tuple(requirements),
            base_image=base_image,
            slim_base=slim_base,
            cache_from=tuple(cache_from),
            cache_to=tuple(cache_to),
            platform=platform,
            index_url=index_url,
            ca_cert=_path(ca_cert),
            offline=_path(offline),
        )
        result = pipeline_package.package(_paths(path, *more), options, _observer(progress))
    if result.smoke:
        require_passed(result.smoke, allow_untested=allow_untested)
    return result


def serve(
    path: Path_,
    *more: Path_,
    port: int = 0,
    variables: Mapping[str, str] | None = None,
    example: Rows | None = None,
    title: str | None = None,
    description: str | None = None,
    trust: Sequence[str] = (),
    select: Sequence[str] = (),
    code: Sequence[Path_] = (),
    sha256: Sequence[str] = (),
    compiled: bool = False,
    python: str | None = None,
    requirements: Sequence[str] = (),
    index_url: str | None = None,
    ca_cert: Path_ | None = None,
    offline: Path_ | None = None,
    progress: bool = False,
) -> ServedModel:
    """Serve a model or a bundle in processes of this machine, without a container.

    Args:
        path: As for `package`, or the folder of a bundle.
        more: Further files of the model, in the order in which rows pass through them.
        port: Port on 127.0.0.1; 0 for any free one.
        variables: Settings of the service, such as {"MODELPACK_TOKEN": "..."} (docs/service.md).
        example: As for `package`.
        title: As for `package`.
        description: As for `package`.
        trust: As for `package`.
        select: As for `package`.
        code: As for `package`.
        sha256: As for `package`.
        compiled: As for `package`.
        python: As for `package`.
        requirements: As for `package`.
        index_url: As for `package`.
        ca_cert: As for `package`.
        offline: As for `package`.
        progress: Print each stage to stderr.

    Returns:
        The running service. It ends with its `stop()`, with a `with` block, or with Python.

    Raises:
        modelpack.errors.SmokeFailedError: The service did not start.
        modelpack.errors.ModelpackError: As for `package`.
    """
    from modelpack.api.service import start
    from modelpack.pipeline.options import Options

    with ExitStack() as stack:
        options = Options(
            engine="process",
            example=_row_file(stack, example),
            title=title,
            description=description,
            trust=tuple(trust),
            select=tuple(select),
            code=tuple(map(Path, code)),
            sha256=tuple(sha256),
            compiled=compiled,
            python=python,
            requirements=tuple(requirements),
            index_url=index_url,
            ca_cert=_path(ca_cert),
            offline=_path(offline),
        )
        return start(_paths(path, *more), options, port, variables or {}, _observer(progress))


def diff(
    old: Path_,
    new: Path_,
    *,
    example: Rows | None = None,
    tolerance: float = 0.0,
    engine: str = "auto",
    platform: str | None = None,
    sha256: Sequence[str] = (),
    progress: bool = False,
) -> Difference:
    """Compare what callers and the image get when `new` replaces `old`.

    Args:
        old: An image, a bundle, a model file, or an image in an archive, layout or registry.
        new: Likewise.
        example: Rows to compare: a DataFrame, an array, a list, or a file.
        tolerance: Relative difference of numbers that counts as equal (0: bit for bit).
        engine: The engine that has the images.
        platform: Platform to select from an image for several.
        sha256: Digests of the files at https:// addresses, in the order of these.
        progress: Print each stage to stderr.

    Returns:
        The difference; `breaking` names the sections that break clients.

    Raises:
        modelpack.errors.ModelpackError: A subclass for each reason why they cannot be compared.
    """
    from modelpack.pipeline import diff as pipeline_diff
    from modelpack.pipeline.options import Options
    from modelpack.pipeline.stages import Pipeline
    from modelpack.pipeline.targets import DIFF, classify

    targets = [classify(text, DIFF) for text in _paths(old, new)]
    with ExitStack() as stack:
        options = Options(
            example=_row_file(stack, example),
            tolerance=tolerance,
            engine=engine,
            platform=platform,
            sha256=tuple(sha256),
        )
        return pipeline_diff.diff(Pipeline(options, _observer(progress)), *targets)


def record(
    model: Any,
    X: Any,  # noqa: N803 - the name in scikit-learn
    path: Path_ | Sequence[Path_],
    *,
    rows: int = 20,
    title: str = "",
    description: str = "",
    names: Sequence[str] = (),
) -> Path:
    """Write predictions for the first rows of `X`, and facts about `X`, next to the model file.

    `modelpack package` compares the predictions of the container with them. The record contains
    these rows unchanged; `rows=0` keeps none. The page of the service shows `title` and
    `description`, and offers the first rows under their `names`. See
    `modelpack.parity.record.record`.
    """
    from modelpack.parity import record as parity_record

    return parity_record.record(
        model, X, path, rows=rows, title=title, description=description, names=names
    )


def _paths(*paths: Path_) -> list[str]:
    for each in paths:
        if not isinstance(each, str | PathLike):
            raise UsageError(
                f"A path is needed, not an object of the class {type(each).__name__}.",
                hint="Save the model first, such as with joblib.dump(model, 'model.joblib'), and"
                " give this path.",
            )
    return [fspath(each) for each in paths]


def _path(path: Path_ | None) -> Path | None:
    return None if path is None else Path(path)


def _row_file(stack: ExitStack, rows: Rows | None) -> Path | None:
    """Return the file of rows. Those of an object are written to a temporary file."""
    if rows is None or isinstance(rows, str | PathLike):
        return _path(rows)
    from modelpack.api.rows import write_rows
    from modelpack.processes import temporary_directory

    return write_rows(rows, stack.enter_context(temporary_directory()))


def _observer(progress: bool) -> Observer | None:
    if not progress:
        return None
    from modelpack.cli.progress import StageProgress

    return StageProgress()
