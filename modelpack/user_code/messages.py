"""Notices and errors about the author's code."""

from __future__ import annotations

import shlex
from pathlib import Path

from modelpack.errors import EnvironmentNotResolvedError, ModelRefusedError
from modelpack.types import Code, CodeFile, ModelSpec

from . import distributions
from .find import SCRIPT
from .nearby import script_near

_FILE = "--code FILE.py"
_MAX_NAMES = 5


def notices(code: Code) -> list[str]:
    """Return a line for each file in the bundle, each requirement of it, and each note."""
    files = [f"code/{file.path} {_origin_text(file)}" for file in code.files]
    needed = [
        f"{name}{code.requirements[name]} is required: {code.reasons[name]}"
        for name in code.requirements
    ]
    return [*files, *needed, *code.notes]


def origin(file: CodeFile) -> str:
    """Return the path of a file, relative to the current directory if it is below it."""
    return str(_relative(Path(file.source or "")))


def require_found(spec: ModelSpec, code: Code) -> None:
    """Raise EnvironmentNotResolvedError unless all modules that the model needs were found."""
    if code.missing:
        raise EnvironmentNotResolvedError(_missing(spec, code), hint=_missing_hint(spec, code))


def with_code_hint(refusal: ModelRefusedError, spec: ModelSpec, code: Code) -> ModelRefusedError:
    """Add to the refusal of an untrusted model where its code was found, or is missing."""
    folders = sorted({str(_folder(file)) for file in code.files if file.path != f"{code.main}.py"})
    if spec.format == SCRIPT:
        folders = [str(_relative(Path(spec.file.path)))]  # its imports need no trust
    ways = [_missing_hint(spec, code)] if code.missing else []
    if code.missing != ("__main__",) or folders:  # naming a script trusts it
        ways.append(refusal.hint)
    if folders:
        options = " ".join(f"--code {shlex.quote(folder)}" for folder in folders)
        options += "".join(f" --trust {name}" for name in _untrusted_elsewhere(spec, code))
        ways.append(f"Or trust all classes and functions of the code found: {options}")
    message = " ".join(filter(None, [refusal.message, _missing(spec, code)]))
    return ModelRefusedError(message, hint="\n".join(ways))


def _untrusted_elsewhere(spec: ModelSpec, code: Code) -> list[str]:
    """Return the names that need trust, and that no module of the author has."""
    own = {file.path.partition("/")[0].removesuffix(".py") for file in code.files}
    own |= {*spec.local_modules, "__main__", *(["mlflow"] if spec.format == SCRIPT else [])}
    names = {finding.global_ for finding in spec.safety.findings if finding.global_}
    return sorted(name for name in names if name.partition(":")[0].partition(".")[0] not in own)[
        :_MAX_NAMES
    ]


def _relative(path: Path) -> Path:
    path, current = path.absolute(), Path.cwd()
    return path.relative_to(current) if path.is_relative_to(current) else path


def _origin_text(file: CodeFile) -> str:
    how = "contains definitions of" if file.text is not None else "is copied from"
    return f"{how} {origin(file)}"


def _folder(file: CodeFile) -> Path:
    """Return the directory that contains the top-level package of the module."""
    return Path(origin(file)).parents[file.path.count("/")]


def _missing(spec: ModelSpec, code: Code) -> str:
    modules = [module for module in code.missing if module != "__main__"]
    sentences = []
    if modules:
        word = "module" if len(modules) == 1 else "modules"
        sentences.append(
            f"The model needs the {word} {', '.join(modules)}, found neither next to the model, "
            "nor under --code, nor in an installed distribution."
        )
    if "__main__" in code.missing:
        names = ", ".join(_names_of_main(spec))
        sentences.append(
            f"The model needs {names} of `__main__`, the script that saved it. No script is given."
        )
    return " ".join([*sentences, *(note for note in code.notes if "is installed here" in note)])


def _missing_hint(spec: ModelSpec, code: Code) -> str:
    modules = [module for module in code.missing if module != "__main__"]
    ways = []
    if modules:
        top = modules[0].partition(".")[0]
        known = distributions.known(modules[0])
        ways.append(
            f"{top} is part of {known}, so add: --requirement {known}. If it is your own module "
            "instead, name its folder: --code PATH"
            if known
            else f"If {top} is your own module, name its folder: --code PATH. If it is part of a "
            "distribution, name that: --requirement NAME==VERSION"
        )
    if "__main__" in code.missing:
        ways.append(_script_hint(spec))
    return ". ".join(ways)


def _script_hint(spec: ModelSpec) -> str:
    """Name the script next to the model that defines what it needs, or what that must define."""
    names = sorted({name.partition(".")[0] for name in _names_of_main(spec)})
    listed = ", ".join(names[:_MAX_NAMES])
    listed += f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    found = script_near((file.path for file in spec.files), names)
    if found is None:
        return f"Name the script that defines {listed} (only its definitions are used): {_FILE}"
    path = _relative(found)
    start = f"If you trust the author of {path}, which defines {listed}, "
    if path.suffix == ".ipynb":
        script = shlex.quote(str(path.with_suffix(".py")))
        return (
            f"{start}convert it: jupyter nbconvert --to script {shlex.quote(str(path))}, and give: "
            f"--code {script}"
        )
    return f"{start}name it (only its definitions are used): --code {shlex.quote(str(path))}"


def _names_of_main(spec: ModelSpec) -> list[str]:
    return sorted({key[9:] for key in spec.globals if key.startswith("__main__:")})
