"""From a `ModelSpec` and folders to a `Code`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True)
class CodeOptions:
    """What the user said. `paths`: of --code. `vouched`: whether what is defined there may be
    loaded, as the command line says and a file beside the model cannot. `requirements`: names of
    distributions.
    """

    paths: tuple[Path, ...] = ()
    vouched: bool = True
    requirements: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Main:
    """The script that stands for `__main__`, and the folder that its imports start from."""

    source: Source
    module: script.ExtractedModule
    folder: Path


def find_code(spec: ModelSpec, given: CodeOptions) -> Code:
    """The code of its author that a model needs: what the file names, wherever that imports from
    beside it, and the distributions behind the rest. Nothing of it is executed.

    Raises:
        UsageError: a file of it cannot be read, is no Python, or lies elsewhere than it seems.
    """
    try:
        return _found(spec, given)
    except RecursionError as error:
        raise UsageError(
            "A file of the code that the model needs is nested deeper than it can be read.",
            hint="Break up its longest expression, or keep data out of the module.",
        ) from error


def _found(spec: ModelSpec, given: CodeOptions) -> Code:
    named = user_code_modules.explicit_paths(given.paths, vouched=given.vouched)
    wanted = _wanted(spec)
    if not wanted:
        return Code()
    names = wanted.pop("__main__", [])
    main = _main(names, given.paths) if names else None
    near = [SearchPath(main.folder)] if main else []
    near += user_code_modules.default_paths(file.path for file in spec.files)
    walk = ImportWalk([*named, *near])
    needed = CodeRequirements(spec, given.requirements)
    for module in sorted(wanted):
        if not walk.add(module, named) and not needed.names(module) and not walk.add(module, near):
            needed.provide(module)
    defined = _defined(walk, wanted)
    if main:
        walk.scan(main.module.tree, "", f"{MAIN}.py")
        defined += _defined_in(main, names) if given.vouched else []
    elif names:
        needed.missing.append("__main__")
    walk.follow()
    needed.add(walk.external, walk.modules)
    sources = {module: found.source for module, found in walk.modules.items()}
    if main:
        sources["__main__"] = main.source
    return replace(
        _code(walk, main, needed, defined),
        probabilistic=_probabilistic(sources, spec),
        classes=shadowing.own_classes(spec.own_states, sources),
    )


def _wanted(spec: ModelSpec) -> dict[str, list[str]]:
    """Module -> the names of the author's that the file takes from it."""
    found: dict[str, list[str]] = {}
    for key in spec.globals:
        module, _, name = key.partition(":")
        if module.partition(".")[0] in spec.local_modules:
            found.setdefault(module, []).append(name)
    return found


def _main(names: Sequence[str], paths: Sequence[Path]) -> _Main | None:
    """The first of the scripts that defines all that was saved from `__main__`."""
    tops = {name.partition(".")[0] for name in names}
    sources = [read(path) for path in user_code_modules.scripts(paths)]
    if not sources:
        return None
    fitting = [source for source in sources if tops <= names_defined(source)]
    source = (fitting or sources)[0]
    folder, packages = user_code_modules.package(source.path)
    return _Main(source, script.extract(source, tops, packages), folder)


def _defined(walk: ImportWalk, wanted: Mapping[str, Sequence[str]]) -> list[str]:
    """What the model names and a file of a named place defines."""
    return [
        f"{module}:{name}"
        for module, names in wanted.items()
        if module in walk.modules and walk.modules[module].named
        for name in names
        if name in names_defined(walk.modules[module].source)
    ]


def _defined_in(main: _Main, names: Sequence[str]) -> list[str]:
    return [f"__main__:{name}" for name in names if name in names_defined(main.source)]


def _probabilistic(sources: Mapping[str, Source], spec: ModelSpec) -> tuple[str, ...]:
    """The classes that the model names and whose code defines `predict_proba`."""
    pairs = [(key, *key.partition(":")[::2]) for key in spec.globals]
    return tuple(
        key
        for key, module, name in pairs
        if module in sources and defines_method(sources[module], name, "predict_proba")
    )


def _code(
    walk: ImportWalk, main: _Main | None, needed: CodeRequirements, defined: Sequence[str]
) -> Code:
    modules = walk.modules.values()
    files = [CodeFile(m.path, m.source.sha256, str(m.source.path)) for m in modules]
    minors = [module.source.minor for module in modules]
    notes = [*walk.notes, *needed.notes]
    if main:
        files.append(_made(main))
        minors.append(main.source.minor)
        notes += [
            f"{main.source.path}, line {line}, runs when the service starts, since the model's "
            f"classes refer to it: {text}"
            for line, text in main.module.loud
        ]
    return Code(
        files=tuple(sorted(files, key=lambda file: file.path)),
        main=MAIN if main else None,
        requirements=needed.requirements,
        reasons=needed.reasons,
        python=f">=3.{max(minors)}" if minors and max(minors) > OLDEST_MINOR else None,
        defined=tuple(sorted(defined)),
        missing=tuple(needed.missing),
        notes=tuple(dict.fromkeys(notes)),
    )


def _made(main: _Main) -> CodeFile:
    text = main.module.text
    digest = hashlib.sha256(text.encode()).hexdigest()
    return CodeFile(f"{MAIN}.py", digest, str(main.source.path), text)
