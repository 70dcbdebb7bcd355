"""Collection of the author's code that a model needs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from modelpack.errors import UsageError
from modelpack.types import Code, CodeFile, ModelSpec

from . import modules as user_code_modules
from . import script, shadowing
from .distributions import CodeRequirements
from .modules import ImportWalk, SearchPath
from .script import MAIN, defines_method, names_defined
from .source import OLDEST_MINOR, Source, read

SCRIPT = "mlflow-script"
"""The format of a script that is the file of a model."""

STARTUP = "modelpack_startup"
"""The module under --code that is imported before the model is loaded.

Some libraries need it: settings, registrations, or names that a model expects in a module. Only a
file of this name is run, so that a training script is never run by mistake.
"""

_STARTUP_NOTE = f"{STARTUP}.py is imported before the model is loaded, and runs as a whole"


def has_startup(paths: Iterable[Path]) -> bool:
    """Return whether a value of --code is the start-up module, or a folder that contains it."""
    name = f"{STARTUP}.py"
    return any(path.name == name or (path / name).is_file() for path in paths)


@dataclass(frozen=True)
class CodeOptions:
    """Options of the user.

    Attributes:
        paths: Values of --code.
        trusted: Whether names defined there may be loaded. False if --code is in a file.
        requirements: Names of distributions.
    """

    paths: tuple[Path, ...] = ()
    trusted: bool = True
    requirements: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Main:
    """The script that was `__main__`, and the directory that its imports start from."""

    source: Source
    module: script.ExtractedModule
    folder: Path


def find_code(spec: ModelSpec, options: CodeOptions) -> Code:
    """Find the modules that a model file names, the modules they import, and distributions.

    Raises:
        UsageError: A file cannot be read, is not Python, or is a link to another directory.
    """
    try:
        return _collect(spec, options)
    except RecursionError as error:
        raise UsageError(
            "A code file of the model is nested too deeply to be parsed.",
            hint="Split its longest expression, or keep data out of the module.",
        ) from error


def _collect(spec: ModelSpec, options: CodeOptions) -> Code:
    named = user_code_modules.explicit_paths(options.paths, trusted=options.trusted)
    saved = _saved_names(spec)
    runnable = read(Path(spec.file.path)) if spec.format == SCRIPT else None
    startup = STARTUP if has_startup(options.paths) else None
    if not saved and not startup and not runnable:
        return Code()
    if startup and not options.trusted:
        raise UsageError(
            f"{STARTUP}.py would run when the service starts, but --code is in a file.",
            hint=f"Name it on the command line: --code {STARTUP}.py",
        )
    names = saved.pop("__main__", [])
    main = _main(names, options.paths) if names else None
    near = [SearchPath(main.folder)] if main else []
    near += user_code_modules.default_paths(file.path for file in spec.files)
    walk = ImportWalk([*named, *near])
    requirements = CodeRequirements(spec, options.requirements)
    for module in sorted(saved):
        if walk.add(module, named) or requirements.names(module) or walk.add(module, near):
            continue
        requirements.provide(module)
    if startup:
        walk.add(startup, named)
    defined = _defined(walk, saved)
    if runnable:
        walk.scan(runnable.tree, "", runnable.path.name)
        defined += _trusted_names(spec, options)
    if main:
        walk.scan(main.module.tree, "", f"{MAIN}.py")
        defined += _defined_in(main, names) if options.trusted else []
    elif names:
        requirements.missing.append("__main__")
    walk.follow()
    requirements.add(walk.external, walk.modules)
    sources = {name: module.source for name, module in walk.modules.items()}
    if main:
        sources["__main__"] = main.source
    code = _code(walk, main, requirements, defined, runnable)
    return replace(
        code,
        startup=startup,
        notes=(*(_STARTUP_NOTE for _ in filter(None, [startup])), *code.notes),
        probabilistic=_probabilistic(sources, spec),
        classes=shadowing.own_classes(spec.own_states, sources),
    )


def _saved_names(spec: ModelSpec) -> dict[str, list[str]]:
    """Return module -> names, for the author's names in the model file."""
    by_module: dict[str, list[str]] = {}
    for key in spec.globals:
        module, _, name = key.partition(":")
        if module.partition(".")[0] in spec.local_modules:
            by_module.setdefault(module, []).append(name)
    return by_module


def _main(names: Sequence[str], paths: Sequence[Path]) -> _Main | None:
    """Return the first script that defines all names that were saved from `__main__`."""
    tops = {name.partition(".")[0] for name in names}
    sources = [read(path) for path in user_code_modules.scripts(paths)]
    if not sources:
        return None
    fitting = [source for source in sources if tops <= names_defined(source)]
    source = (fitting or sources)[0]
    folder, packages = user_code_modules.package(source.path)
    return _Main(source, script.extract(source, tops, packages), folder)


def _defined(walk: ImportWalk, saved: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the names in the model file that a module under --code defines."""
    return [
        f"{module}:{name}"
        for module, names in saved.items()
        if module in walk.modules and walk.modules[module].named
        for name in names
        if name in names_defined(walk.modules[module].source)
    ]


def _defined_in(main: _Main, names: Sequence[str]) -> list[str]:
    return [f"__main__:{name}" for name in names if name in names_defined(main.source)]


def _probabilistic(sources: Mapping[str, Source], spec: ModelSpec) -> tuple[str, ...]:
    """Return the classes in the model file that define `predict_proba`."""
    pairs = [(key, *key.partition(":")[::2]) for key in spec.globals]
    return tuple(
        key
        for key, module, name in pairs
        if module in sources and defines_method(sources[module], name, "predict_proba")
    )


def _trusted_names(spec: ModelSpec, options: CodeOptions) -> list[str]:
    """Return the name of the script that is the model, if --code names it or its folder."""
    script = Path(spec.file.path).resolve()
    named = {path.resolve() for path in options.paths}
    is_named = options.trusted and bool(named & {script, script.parent})
    return [f.global_ for f in spec.safety.findings if f.global_] if is_named else []


def _code(
    walk: ImportWalk,
    main: _Main | None,
    requirements: CodeRequirements,
    defined: Sequence[str],
    runnable: Source | None,
) -> Code:
    modules = walk.modules.values()
    files = [CodeFile(m.path, m.source.sha256, str(m.source.path)) for m in modules]
    minors = [module.source.minor for module in modules]
    minors += [runnable.minor] if runnable else []
    notes = [*walk.notes, *requirements.notes]
    if main:
        files.append(_extracted_file(main))
        minors.append(main.source.minor)
        notes += [
            f"{main.source.path}, line {line}, runs when the service starts, because the classes "
            f"of the model refer to it: {text}"
            for line, text in main.module.loud
        ]
    return Code(
        files=tuple(sorted(files, key=lambda file: file.path)),
        main=MAIN if main else None,
        requirements=requirements.requirements,
        reasons=requirements.reasons,
        python=f">=3.{max(minors)}" if minors and max(minors) > OLDEST_MINOR else None,
        defined=tuple(sorted(defined)),
        missing=tuple(requirements.missing),
        notes=tuple(dict.fromkeys(notes)),
    )


def _extracted_file(main: _Main) -> CodeFile:
    text = main.module.text
    digest = hashlib.sha256(text.encode()).hexdigest()
    return CodeFile(f"{MAIN}.py", digest, str(main.source.path), text)
