"""The folder of a deployment: files that modelpack wrote, and files that the user edited.

A record in the folder has the digest of each file as it was written. A file with another digest
was edited, and is not replaced without `--force`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelpack.errors import UsageError
from modelpack.files import atomic_write_text, read_regular

RECORD = "deployment.json"
APPLIED = ".applied"
"""A copy of the files that were applied last, for a rollback."""
_APPLIED_DIGEST = f"{APPLIED}/secret.sha256"
_CONTEXT = f"{APPLIED}/context.json"
PROXY_FOLDER = "proxy"
"""Its files are read by a container, which runs as another user."""
COMPOSE_FILE, COMPOSE_OVERRIDE = "compose.yaml", "compose.override.yaml"
"""What modelpack writes for Compose, and what users write, which Compose merges."""
_MAX_BYTES = 2**20


@dataclass(frozen=True)
class WriteResult:
    """The result of writing a deployment, as paths in its folder.

    Attributes:
        written: Files that are new or have changed.
        kept: Files of the user's that stayed as they are.
        replaced: Edited files that were replaced with `--force`.
        removed: Files of an earlier deployment that are not needed anymore.
    """

    written: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class Folder:
    """The folder of a deployment, which need not exist yet.

    Attributes:
        record: What was deployed last: the document of `write`. Empty for a new folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record = _read_record(path)

    def write(
        self,
        files: Mapping[str, str],
        record: Mapping[str, Any],
        *,
        editable: Collection[str] = (),
        force: bool = False,
    ) -> WriteResult:
        """Write files and the record.

        Args:
            files: Path in the folder -> content.
            record: Facts of the deployment, which `record` returns next time.
            editable: Files that users are expected to edit. An edited one is kept.
            force: Replace edited files, and those that were there before.

        Raises:
            UsageError: A file was edited, and `force` is not set. Nothing is written then. Or a
                file cannot be written.
        """
        try:
            known: Mapping[str, str] = self.record.get("files") or {}
            old = {path: _digest(self.path / path) for path in {*known, *files}}
            edited = sorted(
                path
                for path, digest in old.items()
                if digest is not None
                and digest != known.get(path)
                and digest != _digest_of(files.get(path))
            )
            kept = [path for path in edited if path in editable and not force]
            self._require_unedited([path for path in edited if path not in kept], force=force)
            stale = sorted(path for path in known if path not in files and old[path] is not None)
            changed = [
                path for path, text in files.items()
                if path not in kept and old[path] != _digest_of(text)
            ]  # fmt: skip
            for path in stale:
                (self.path / path).unlink()
                self._remove_empty_folder(path)
            for path in changed:
                self._write_file(path, files[path])
            digests = {
                path: known.get(path, "") if path in kept else _digest_of(text)
                for path, text in files.items()
            }
            document = {**record, "files": digests}
            self._write_file(RECORD, json.dumps(document, indent=2, ensure_ascii=True) + "\n")
        except OSError as error:
            raise UsageError(
                f"The deployment cannot be written to {self.path}: {error.strerror}.",
                hint="Choose another folder with -o.",
            ) from error
        self.record = document
        replaced = [path for path in edited if path not in kept and path in files]
        return WriteResult(tuple(changed), tuple(kept), tuple(replaced), tuple(stale))

    def _require_unedited(self, edited: Sequence[str], *, force: bool) -> None:
        if edited and not force:
            is_ours = bool(self.record)
            what = "were edited" if is_ours else "are not of modelpack"
            hint = "Add --force to replace them, or choose another folder with -o."
            if is_ours and COMPOSE_FILE in edited:
                hint = (
                    f"Move your changes to {self.path / COMPOSE_OVERRIDE}, which is kept and"
                    f" applied, and add --force to replace {COMPOSE_FILE}."
                )
            raise UsageError(
                f"{self.path} is not changed, because these files {what}: {', '.join(edited)}.",
                hint=hint,
            )

    def write_secret(self, path: str, text: str) -> bool:
        """Write a file that only this user can reach, unless it exists. Return whether it is new.

        The folder of the file is closed to others. The file itself is readable, because a
        container that gets it as a volume runs as another user.
        """
        file = self.path / path
        if file.exists():
            return False
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.parent.chmod(0o700)
            atomic_write_text(file, text)
            file.chmod(0o444)
        except OSError as error:
            raise UsageError(
                f"The token cannot be written to {file}: {error.strerror}.",
                hint="Choose another folder with -o.",
            ) from error
        return True

    def mark_applied(self, secret: str | None = None) -> None:
        """Keep a copy of the files and the digest of the secret, as they were applied."""
        context = self.context
        self.forget_applied()
        if context:
            self.record_context(context)
        for path in (*self._paths(), RECORD):
            _copy(self.path / path, self.path / APPLIED / path)
        if secret is not None:
            self._write_file(_APPLIED_DIGEST, _digest(self.path / secret) or "")

    def is_applied(self) -> bool:
        """Return whether the files are those that were applied last, also if they were edited."""
        copies = self.path / APPLIED
        return bool(self.applied) and all(
            _digest(self.path / path) == _digest(copies / path) for path in self._paths()
        )

    def has_new_secret(self, secret: str) -> bool:
        """Return whether a secret has changed since the files were applied."""
        known = self.path / _APPLIED_DIGEST
        return known.is_file() and known.read_text() != (_digest(self.path / secret) or "")

    def restore_applied(self) -> bool:
        """Replace the files by those that were applied last. Return whether there were any."""
        copies = self.path / APPLIED
        if not (copies / RECORD).is_file():
            return False
        for path in self._paths():
            (self.path / path).unlink(missing_ok=True)
        self.record = _read_record(copies)
        for path in (*self._paths(), RECORD):
            _copy(copies / path, self.path / path)
        return True

    @property
    def applied(self) -> dict[str, Any]:
        """The record of the files that were applied last. Empty if nothing is deployed."""
        return _read_record(self.path / APPLIED)

    @property
    def context(self) -> dict[str, str]:
        """Where the files were applied, as recorded. Empty if nothing is deployed."""
        try:
            document = json.loads(read_regular(self.path / _CONTEXT, _MAX_BYTES))
        except (OSError, ValueError):
            return {}
        return {str(key): str(value) for key, value in dict(document).items()}

    def record_context(self, context: Mapping[str, str]) -> None:
        """Record where the files are applied, before they are."""
        self._write_file(_CONTEXT, json.dumps(context) + "\n")

    def forget_applied(self) -> None:
        """Remove the copy and the context, because nothing is deployed."""
        shutil.rmtree(self.path / APPLIED, ignore_errors=True)

    def _remove_empty_folder(self, path: str) -> None:
        parent = (self.path / path).parent
        if parent != self.path and not any(parent.iterdir()):
            parent.rmdir()

    def _paths(self) -> list[str]:
        return list(self.record.get("files") or ())

    def _write_file(self, path: str, text: str) -> None:
        (self.path / path).parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(self.path / path, text)
        _make_readable(self.path / path)


def _copy(source: Path, target: Path) -> None:
    """Copy a file, if it was not removed."""
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        _make_readable(target)


def _make_readable(file: Path) -> None:
    """Let containers read a file of the proxy, whatever the umask is."""
    if file.parent.name == PROXY_FOLDER:
        file.parent.chmod(0o755)
        file.chmod(0o644)


def _read_record(path: Path) -> dict[str, Any]:
    file = path / RECORD
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is not a folder.", hint="Choose another folder with -o.")
    if not file.exists():
        return {}
    try:
        document = json.loads(read_regular(file, _MAX_BYTES))
        files = document["files"]
        valid = all(_is_inside(name) and isinstance(files[name], str) for name in files)
    except (OSError, ValueError, KeyError, TypeError):
        valid = False
    if not valid:
        raise UsageError(
            f"{file} is not a record of a deployment.",
            hint="Restore the file, or choose another folder with -o.",
        )
    result: dict[str, Any] = document
    return result


def _is_inside(name: str) -> bool:
    return bool(name) and not name.startswith("/") and ".." not in Path(name).parts


def _digest(path: Path) -> str | None:
    """Return the digest of a file, "" if it is too large or not a file, None if it is missing."""
    try:
        return hashlib.sha256(read_regular(path, _MAX_BYTES)).hexdigest()
    except FileNotFoundError:
        return None
    except ValueError:
        return ""


def _digest_of(text: str | None) -> str:
    return "" if text is None else hashlib.sha256(text.encode()).hexdigest()
