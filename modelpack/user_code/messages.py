"""Notices and errors about the author's code."""

from __future__ import annotations

from pathlib import Path

from modelpack.errors import EnvironmentNotResolvedError, ModelRefusedError
from modelpack.types import Code, CodeFile, ModelSpec


def notices(code: Code) -> list[str]:
    """A line for each file that goes into the bundle, each requirement that came from it, and
    whatever else the user should know.
    """
    files = [f"code/{file.path} {_made(file)}" for file in code.files]
    needed = [
        f"{name}{code.requirements[name]} is required: {code.reasons[name]}"
        for name in code.requirements
    ]
    return [*files, *needed, *code.notes]


def origin(file: CodeFile) -> str:
    """Where a file was found, as the user would write it."""
    path, here = Path(file.source or "").absolute(), Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def require_found(spec: ModelSpec, code: Code) -> None:
    """Raises:
    EnvironmentNotResolvedError: a module that the model names is nowhere.
    """
    if code.missing:
        raise EnvironmentNotResolvedError(_missing(spec, code), hint=_ways_out(code))


def with_code_hint(refusal: ModelRefusedError, spec: ModelSpec, code: Code) -> ModelRefusedError:
    """The refusal of a model that is not trusted, which also tells where its code is, or is not."""
    folders = sorted({str(_folder(file)) for file in code.files if file.path != f"{code.main}.py"})
    ways = [_ways_out(code)] if code.missing else []
    if code.missing != ("__main__",) or folders:  # a script is vouched for by being named
        ways.append(f"{refusal.hint}.")
    if folders:
        options = " ".join(f"--code {folder}" for folder in folders)
        ways.append(
            f"Or vouch for all classes and functions that are defined in the code that was found: "
            f"{options}"
        )
    message = " ".join(filter(None, [refusal.message, _missing(spec, code)]))
    return ModelRefusedError(message, hint=" ".join(ways).rstrip("."))


def _made(file: CodeFile) -> str:
    how = "is made of definitions of" if file.text is not None else "is copied from"
    return f"{how} {origin(file)}"


def _folder(file: CodeFile) -> Path:
    """The folder that the module's name starts from."""
    return Path(origin(file)).parents[file.path.count("/")]


def _missing(spec: ModelSpec, code: Code) -> str:
    modules = [module for module in code.missing if module != "__main__"]
    found = []
    if modules:
        word = "module" if len(modules) == 1 else "modules"
        found.append(
            f"The model needs the {word} {', '.join(modules)}, found neither beside the model nor "
            "under --code, and in no distribution that is installed here."
        )
    if "__main__" in code.missing:
        names = sorted({key[9:] for key in spec.globals if key.startswith("__main__:")})
        found.append(
            f"The model needs {', '.join(names)} of `__main__`, the script that saved it, which is "
            "not given."
        )
    return " ".join([*found, *(note for note in code.notes if "is installed here" in note)])


def _ways_out(code: Code) -> str:
    modules = [module for module in code.missing if module != "__main__"]
    ways = []
    if modules:
        top = modules[0].partition(".")[0]
        ways.append(
            f"If it is your own, name the folder in which {top} lies: --code PATH. If it is a "
            "distribution, name it: --requirement NAME==VERSION"
        )
    if "__main__" in code.missing:
        ways.append("Name the script, of which only the definitions are taken: --code train.py")
    return " ".join(f"{way}." for way in ways)
