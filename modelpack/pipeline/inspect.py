"""`inspect`, with the author's code located and trust decided."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelpack._version import __version__
from modelpack.errors import ModelpackError, ModelRefusedError
from modelpack.inspection import require_servable, with_trusted
from modelpack.types import Code, ModelSpec

from .options import Options


def find_code(model: ModelSpec, options: Options) -> Code:
    """Find the author's code that the model needs, in the paths of the options."""
    from modelpack import user_code as codes
    from modelpack.environment.requirements import from_user

    named = tuple(requirement.name for requirement in from_user(options.requirements))
    paths = tuple(map(Path, options.code))
    return codes.find_code(model, codes.CodeOptions(paths, options.code_trusted, named))


def require_code_paths(options: Options) -> None:
    """Raise UsageError unless each path of --code is a folder or a Python file."""
    if options.code:
        from modelpack import user_code as codes

        codes.require_paths(map(Path, options.code))


def needs_code(model: ModelSpec, options: Options) -> bool:
    """Return whether the model names modules of its author, or --code a module of the start."""
    if model.local_modules or not options.code:
        return bool(model.local_modules)
    from modelpack import user_code as codes

    return codes.has_startup(map(Path, options.code))


def inspect_with_code(
    model: ModelSpec, options: Options
) -> tuple[ModelSpec, Code, ModelpackError | None]:
    """Locate the author's code, and decide whether the model can be packaged.

    Returns:
        The model, the code, and the error that `package` would raise, if any.
    """
    code = Code()
    try:
        if needs_code(model, options) and model.safety.verdict != "refuse":
            code = find_code(model, options)
            model = with_trusted(model, code)
        require_trusted(model, code)
    except ModelpackError as problem:
        return model, code, problem
    return model, code, None


def require_trusted(model: ModelSpec, code: Code) -> None:
    """Require a model that can be served, of code that is trusted.

    Raises:
        ModelNotSupportedError: As `require_servable`.
        ModelRefusedError: As `require_servable`, with a hint on the author's code.
    """
    try:
        require_servable(model)
    except ModelRefusedError as refusal:
        if model.safety.verdict == "refuse":
            raise
        from modelpack.user_code import with_code_hint

        raise with_code_hint(refusal, model, code) from None


def with_record(model: ModelSpec, paths: Sequence[str | Path], options: Options) -> ModelSpec:
    """Return the model with the facts in its record, and with the texts of the options.

    Raises:
        UsageError: The record is malformed or is for another file, or a text is too long.
    """
    from modelpack import parity

    model, _ = parity.prepare(model, parity.ReferenceSources(tuple(map(Path, paths))))
    return parity.with_texts(model, options.title, options.description)


def model_summary(model: ModelSpec) -> str:
    """Summarize a model: "SVC, scikit-learn 1.3.2, 4 inputs"."""
    name = (model.estimator or "no estimator").rpartition(".")[2]
    library = " ".join(filter(None, (model.framework, model.framework_version)))
    inputs = len(model.signature.inputs)
    count = f"{inputs} input{'' if inputs == 1 else 's'}"
    return ", ".join(filter(None, (name, library, count)))


def render_card(spec: ModelSpec, **texts: Any) -> str:
    """Render the model card of a model. `texts`: what the template needs besides `spec`."""
    from modelpack.bundle.render import TASK_WORDS
    from modelpack.bundle.templates import render_template

    kind = TASK_WORDS.get(spec.task, f"A {spec.task}")
    return render_template("MODEL_CARD.md.j2", spec=spec, version=__version__, kind=kind, **texts)
