"""`--compiled`: the model as a file of numbers, in place of the files of its library."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from modelpack import environment, processes
from modelpack.errors import NoCompiledFormError, UsageError
from modelpack.types import Code, ModelSpec

from .stages import Pipeline

UNPROVED = (
    "The compiled model is not compared with the model itself. Only `modelpack package` does that."
)


@contextmanager
def prepare(
    run: Pipeline, paths: Sequence[str | Path]
) -> Iterator[tuple[Pipeline, ModelSpec, Code]]:
    """Inspect a model, and compile it if the options say so.

    Yields:
        The pipeline for what follows, the model, and the author's code that its image needs.
    """
    with run.open_models(paths) as local:
        inspected, code = run.inspect(local)
        model, _ = run.reference(inspected, local)
        if not run.options.compiled:
            yield run, model, code
            return
        with compile_temporarily(run, model) as compiled:
            run.observer.notice(UNPROVED)
            yield for_compiled(run), compiled, Code()


@contextmanager
def compile_temporarily(run: Pipeline, model: ModelSpec) -> Iterator[ModelSpec]:
    """Compile a model to a temporary file, and yield its spec.

    Raises:
        ModelNotSupportedError: A part of the model has no compiled form.
        UsageError: See `compile_to`.
    """
    with processes.temporary_directory() as folder:
        with run.stage("compile") as summary:
            compiled = compile_to(Path(folder) / f"{Path(model.file.path).stem}.compiled", model)
            summary.append(f"{compiled.file.size / 1e3:,.0f} kB of numbers, without pickle")
        yield compiled


def compile_to(path: Path, model: ModelSpec) -> ModelSpec:
    """Compile a model to a file, and return its spec.

    Raises:
        ModelNotSupportedError: A part of the model has no compiled form.
        UsageError: numpy is not installed.
    """
    try:
        from modelpack.compilation.compile import compile_file  # noqa: PLC0415 - imports numpy
    except ModuleNotFoundError as error:
        raise UsageError(
            f"--compiled needs {error.name} on this machine.",
            hint="Run: pip install 'modelpack[rows]'",
        ) from None
    return compile_file(model, path)


def compiled_if_possible(model: ModelSpec) -> ModelSpec:
    """Compile a model; return its own spec, with the reason if it has no compiled form.

    Raises:
        UsageError: See `compile_to`.
    """
    if model.not_compilable:
        return model
    with processes.temporary_directory() as folder:
        try:
            compile_to(Path(folder) / "model.compiled", model)
        except NoCompiledFormError as error:
            return replace(model, not_compilable=error.reason)
    return model


def for_compiled(run: Pipeline) -> Pipeline:
    """Return the pipeline of the compiled model, which needs no requirement of its library."""
    requirements = environment.service_requirements(run.options.requirements)
    return run.with_options(replace(run.options, python=None, requirements=requirements))
