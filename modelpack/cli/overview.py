"""`modelpack` without a command: the models in the current folder, and what to do with them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click
from rich.text import Text

from modelpack.cli.output import out
from modelpack.cli.text import grid, printable
from modelpack.errors import ModelpackError
from modelpack.inspection import inspect, is_unreadable, is_unsupported
from modelpack.pipeline.inspect import model_summary
from modelpack.types import ModelSpec

_SUFFIXES = {
    ".cbm", ".dill", ".joblib", ".keras", ".onnx", ".pickle", ".pkl", ".pt2", ".skops", ".ubj"
}  # fmt: skip
"""Of files that are models, or objects of one. Others, such as .json, are recognised by content."""
_BEGINNINGS = {
    ".txt": b"tree\n", ".json": b'{"learner"', ".h5": b"\x89HDF", ".pt": b"PK", ".bst": b""
}  # fmt: skip
_BUNDLE, _MLFLOW = "modelpack.json", "MLmodel"
_MAX_FOLDERS, _MAX_SHOWN, _MAX_INSPECTED = 50, 12, 6
_JOBS = 2


@dataclass(frozen=True)
class Entry:
    """A file or a folder that was found.

    Attributes:
        model: None for a bundle, and for a file that is not inspected.
    """

    path: Path
    text: str
    model: ModelSpec | None = None

    @property
    def is_bundle(self) -> bool:
        return _is_bundle(self.path)

    @property
    def verdict(self) -> str:
        return self.model.safety.verdict if self.model else ""


def show(ctx: click.Context) -> None:
    """Print the models in the current folder and the next command, or the help without models."""
    paths = list(find(Path()))
    if not paths:
        click.echo(ctx.get_help())
        return
    entries = describe(paths[:_MAX_SHOWN])
    out.print(Text("Models in this folder, newest first:\n"))
    table = grid()
    for entry in entries:
        table.add_row(printable(entry.path), printable(entry.text, "dim"))
    out.print(table)
    if len(paths) > _MAX_SHOWN:
        out.print(Text(f"  and {len(paths) - _MAX_SHOWN} more", "dim"))
    out.print(Text("\nNext:\n"))
    commands = grid()
    for command, purpose in next_commands(entries):
        commands.add_row(printable(command, "bold"), Text(purpose, "dim"))
    out.print(commands)


def find(folder: Path) -> Iterator[Path]:
    """Yield files of models and bundles, newest first; of subfolders if `folder` has none."""
    yield from _newest_first(_candidates(folder)) or _newest_first(
        path
        for child in _children(folder)[:_MAX_FOLDERS]
        if child.is_dir() and not child.name.startswith((".", "_"))
        for path in _candidates(child)
    )


def describe(paths: Iterable[Path]) -> list[Entry]:
    """Inspect the first models, each in a process with limits, and describe all paths."""
    entries = [Entry(path, "bundle" if _is_bundle(path) else "not inspected") for path in paths]
    models = [entry.path for entry in entries if not entry.is_bundle][:_MAX_INSPECTED]
    with ThreadPoolExecutor(_JOBS) as pool:
        inspected = dict(zip(models, pool.map(_describe, models), strict=True))
    return [inspected.get(entry.path, entry) for entry in entries]


def next_commands(entries: Iterable[Entry]) -> list[tuple[str, str]]:
    """Return commands for the newest model, and what they do."""
    listed = list(entries)
    models = [each for each in listed if each.verdict == "pass"]
    predicting = [each for each in models if each.model and each.model.task != "transformer"]
    transforming = [each for each in models if each not in predicting]
    if len(predicting) == len(transforming) == 1:
        predicting = [*transforming, *predicting]  # such as a vectorizer and its classifier
    elif predicting:
        predicting = predicting[:1]
    files = shlex.join(_argument(each.path) for each in predicting)
    commands = []
    if files:
        commands += [
            (f"modelpack package {files}", "build and test an image"),
            (f"modelpack serve {files}", "try it without a container"),
        ]
    elif others := [each for each in listed if each.model]:
        path = shlex.quote(_argument(others[0].path))
        commands.append((f"modelpack inspect {path}", "show why it is not packaged"))
    if bundles := [each for each in listed if each.is_bundle]:
        path = shlex.quote(_argument(bundles[0].path))
        commands.append((f"modelpack build {path}", "build the image of the bundle"))
    return [*commands, ("modelpack --help", "list all commands")]


def _argument(path: Path) -> str:
    """Return a path that is not taken for an option."""
    return f"./{path}" if str(path).startswith("-") else str(path)


def _describe(path: Path) -> Entry:
    try:
        model = inspect(path)
    except ModelpackError as error:
        return Entry(path, error.message)
    verdict, findings = model.safety.verdict, model.safety.findings
    if verdict == "pass":
        return Entry(path, model_summary(model), model)
    if verdict == "trust":
        return Entry(path, f"{model_summary(model)}; names code that needs trust", model)
    is_model = not (is_unreadable(findings) or is_unsupported(findings))
    return Entry(path, "refused: unsafe" if is_model else "not a supported model", model)


def _candidates(folder: Path) -> Iterator[Path]:
    return (path for path in _children(folder) if _is_candidate(path))


def _is_candidate(path: Path) -> bool:
    with suppress(OSError):
        if path.is_dir():
            return _is_bundle(path) or (path / _MLFLOW).is_file()
        if path.is_file() and path.suffix in _BEGINNINGS:
            with path.open("rb") as file:
                return file.read(16).startswith(_BEGINNINGS[path.suffix])
        return path.is_file() and path.suffix in _SUFFIXES
    return False


def _is_bundle(path: Path) -> bool:
    return (path / _BUNDLE).is_file()


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _newest_first(paths: Iterable[Path]) -> list[Path]:
    return sorted(paths, key=_seconds, reverse=True)


def _seconds(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
