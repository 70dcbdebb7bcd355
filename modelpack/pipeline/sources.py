"""MODEL arguments: files and folders, archives of MLflow folders, and addresses.

Archives are unpacked and addresses fetched into temporary folders, for the time of a command. What
the user reads has the archive or the address in place of such a folder.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from modelpack import addresses
from modelpack.errors import ModelpackError, UsageError
from modelpack.processes import temporary_directory
from modelpack.types import Code, ModelFile, ModelSpec, Origin

from .options import Observer, Options
from .unpacked import has_description, unpacked

if TYPE_CHECKING:
    from modelpack.addresses.fetch import Fetched


_MEGABYTE = 10**6
_ARCHIVES = {".zip", ".tar", ".tgz", ".gz"}


@dataclass(frozen=True)
class LocalModels:
    """The files and folders of a model on this machine.

    Attributes:
        names: Temporary file or folder -> what the user reads in place of it.
        origins: Of the models that were fetched.
    """

    paths: tuple[Path, ...]
    names: tuple[tuple[Path, str], ...] = ()
    origins: tuple[Origin, ...] = ()

    def present(self, text: str, *, is_command: bool = False) -> str:
        """Return a text for the user, or a command, without temporary folders."""
        current = Path.cwd()
        for path, name in self.names:
            shown = shlex.quote(name) if is_command else name
            text = text.replace(str(path), shown)
            if path.is_relative_to(current):  # messages have such paths
                text = text.replace(str(path.relative_to(current)), shown)
        return text

    def localize(self, path: Path) -> Path:
        """Return the path on this machine of what `present` has named, such as in --code."""
        for local, name in self.names:
            rest = str(path).removeprefix(name)
            if rest != str(path) and rest[:1] in {"", "/"}:
                return Path(f"{local}{rest}")
        return path

    def describe(self, model: ModelSpec) -> ModelSpec:
        """Return the model for the user, with the origins, and without temporary folders."""
        file, *more = map(self._file, model.files)
        context = model.context and replace(
            model.context, folder=self.present(model.context.folder)
        )
        return replace(
            model,
            file=file,
            more_files=tuple(more),
            fetched_from=self.origins,
            context=context,
        )

    def describe_code(self, code: Code) -> Code:
        """Return the code for the user, without temporary folders."""
        files = [
            replace(each, source=self.present(each.source)) if each.source else each
            for each in code.files
        ]
        return replace(code, files=tuple(files), notes=tuple(map(self.present, code.notes)))

    def _file(self, file: ModelFile) -> ModelFile:
        return replace(file, path=self.present(file.path))


@contextmanager
def open_models(
    paths: Sequence[str | Path],
    options: Options,
    observer: Observer | None = None,
    seconds: dict[str, float] | None = None,
) -> Iterator[LocalModels]:
    """Fetch and unpack models, until the context ends. `seconds` receives the time of downloads.

    Raises:
        ModelpackError: As `addresses.fetch.fetch`. Errors in the context are presented.
        ModelRefusedError: An archive is damaged or hostile.
    """
    names: list[tuple[Path, str]] = []
    origins: list[Origin] = []
    digests = assign_digests(paths, options.sha256)
    with ExitStack() as stack:
        local: list[Path] = []
        for given, sha256 in zip(paths, digests, strict=True):
            path, name = Path(given), str(given)
            if addresses.is_address(str(given)):
                parent = stack.enter_context(temporary_directory())
                started = time.monotonic()
                fetched = _fetch(str(given), sha256, parent, observer or Observer())
                if seconds is not None:
                    taken = round(time.monotonic() - started, 3)
                    seconds["download"] = round(seconds.get("download", 0.0) + taken, 3)
                origin = _with_digest(fetched)
                origins.append(origin)
                path, name = fetched.path, origin.resolved
                names.append((path, name))
            local.append(_unpack(stack, path))
            if local[-1] != path:
                names.append((local[-1] if local[-1].is_dir() else local[-1].parent, name))
        models = LocalModels(tuple(local), tuple(names), tuple(origins))
        try:
            yield models
        except ModelpackError as error:
            error.message = models.present(error.message)
            error.hint = models.present(error.hint, is_command=True)
            error.args = (error.message,)
            raise


def _unpack(stack: ExitStack, path: Path) -> Path:
    """Return the folder of MLflow or the only model in an archive, and any other path as it is."""
    suffix = path.suffix.lower()
    if suffix not in _ARCHIVES or not path.is_file():
        return path
    if suffix == ".zip" and has_description(path):
        return stack.enter_context(unpacked(path))
    from .only_model import unpacked_model  # noqa: PLC0415 - takes time

    return stack.enter_context(unpacked_model(path))


def is_model(path: Path) -> bool:
    """Return whether a path is a file, or a folder of MLflow, and not the folder of a bundle."""
    return path.is_file() or (path.is_dir() and (path / "MLmodel").is_file())


def assign_digests(paths: Sequence[str | Path], sha256: Sequence[str]) -> tuple[str | None, ...]:
    """Return the digest of --sha256 for each path that is an address of the web.

    Raises:
        UsageError: There are more digests than such addresses, or fewer.
    """
    is_web = [addresses.is_web_address(str(path)) for path in paths]
    count = sum(is_web)
    if len(sha256) > count or 0 < len(sha256) < count:
        raise UsageError(
            f"--sha256 is given {len(sha256)} times for {count} addresses of https://.",
            hint="Give one digest for each address, in the same order. Files, folders and"
            " addresses of MLflow have none.",
        )
    left = iter(sha256)
    return tuple(next(left, None) if each else None for each in is_web)


def _fetch(address: str, sha256: str | None, parent: Path, observer: Observer) -> Fetched:
    """Fetch a model, as a stage with progress."""
    from modelpack.addresses.fetch import fetch, require_fetchable  # noqa: PLC0415 - imports requests

    require_fetchable(address, sha256)
    observer.stage_started("download")
    started = time.monotonic()
    try:
        fetched = fetch(address, sha256, parent, observer.transfer)
    except BaseException:
        observer.stage_failed()
        raise
    size = sum(path.stat().st_size for path in (fetched.path, *fetched.path.rglob("*"))
               if path.is_file())  # fmt: skip
    count = len(fetched.digests)
    summary = f"{fetched.origin.resolved}, {count} file{'' if count == 1 else 's'}"
    shown = f"{size / 1e6:,.1f} MB" if size >= _MEGABYTE else f"{size / 1e3:,.0f} kB"
    observer.stage_done("download", time.monotonic() - started, f"{summary}, {shown}")
    return fetched


def _with_digest(fetched: Fetched) -> Origin:
    from modelpack.attestations.documents import tree_digest  # noqa: PLC0415 - takes time

    single = fetched.digests.get("")
    digest = {"sha256": single} if single else {"dirHash": tree_digest(fetched.digests)}
    return replace(fetched.origin, digest=digest)
