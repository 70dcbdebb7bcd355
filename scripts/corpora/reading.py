"""Read the payloads of a corpus out of a folder, a file or a git directory; nothing is executed."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

SUFFIXES = {
    ".7z", ".bin", ".cbm", ".ckpt", ".dat", ".dill", ".h5", ".joblib", ".keras", ".npy", ".npz",
    ".onnx", ".pb", ".pickle", ".pkl", ".pt", ".pth", ".safetensors", ".skops", ".ubj", ".zip",
}  # fmt: skip
"""Suffixes of the files that count as models."""
_STOP = b"."
_MOST_BYTES = 1 << 20  # of a folded literal


@dataclass(frozen=True)
class Payload:
    """The bytes of a model file, or of a literal of a Python file.

    Attributes:
        path: path of the file in the corpus; a literal adds ":LINE".
        data: the bytes.
    """

    path: str
    data: bytes

    @property
    def is_literal(self) -> bool:
        return ":" in self.path


def revision(path: Path) -> str:
    """Return the commit id of a git directory, or "" of another place."""
    if not _is_git(path):
        return ""
    return _git(path, "rev-parse", "HEAD").decode().strip()


def payloads(directory: Path) -> Iterator[Payload]:
    """Yield the model files among the tests of `directory`, and the pickles in their source.

    Args:
        place: a git directory, of which the newest commit is read; a folder; or one file.
    """
    seen = set()
    for path, data in _files(directory):
        if PurePosixPath(path).suffix == ".py":
            for line, literal in literals(data):
                if literal not in seen:
                    seen.add(literal)
                    yield Payload(f"{path}:{line}", literal)
        else:
            yield Payload(path, data)


def literals(source: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield line and value of each bytes literal that ends as a pickle does, with STOP.

    Sums and multiples of literals are folded. Source of another version of Python yields nothing.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        value = _folded(node)
        if isinstance(value, bytes):
            if len(value) > 1 and value.endswith(_STOP):
                yield getattr(node, "lineno", 0), value
        else:
            waiting.extend(ast.iter_child_nodes(node))


def _folded(node: ast.AST) -> bytes | int | None:
    if isinstance(node, ast.Constant) and type(node.value) in (bytes, int):
        return node.value  # type: ignore[return-value]
    if not isinstance(node, ast.BinOp):
        return None
    left, right = _folded(node.left), _folded(node.right)
    if isinstance(node.op, ast.Add) and isinstance(left, bytes) and isinstance(right, bytes):
        return left + right
    if isinstance(node.op, ast.Mult) and isinstance(left, bytes) and isinstance(right, int):
        return left * right if 0 <= len(left) * right <= _MOST_BYTES else None
    return None


def _files(directory: Path) -> Iterator[tuple[str, bytes]]:
    """Yield path and bytes of the files that belong to tests and are models or Python."""
    if directory.is_file():
        yield directory.name, directory.read_bytes()
    elif _is_git(directory):
        names = _git(directory, "ls-tree", "-r", "-z", "--name-only", "HEAD").decode().split("\0")
        for name in filter(_is_wanted, names):
            try:
                yield name, _git(directory, "cat-file", "blob", f"HEAD:{name}")
            except subprocess.CalledProcessError:  # a partial copy lacks large files
                print(f"{name!a} is not in {directory}", file=sys.stderr)
    else:
        for path in sorted(directory.rglob("*")):
            name = path.relative_to(directory).as_posix()
            if path.is_file() and not path.is_symlink() and _is_wanted(name):
                yield name, path.read_bytes()


def _is_wanted(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix in SUFFIXES or (path.suffix == ".py" and "test" in name)


def _is_git(path: Path) -> bool:
    return (path / "HEAD").is_file() or (path / ".git").exists()


def _git(path: Path, *arguments: str) -> bytes:
    command = ["git", "-C", str(path), *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout
