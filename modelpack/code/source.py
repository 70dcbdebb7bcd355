"""One file of code, read as text and parsed; nothing of it is executed."""

from __future__ import annotations

import ast
import hashlib
import io
import sys
import tokenize
import warnings
from dataclasses import dataclass
from pathlib import Path

from modelpack.errors import UsageError

from . import limits

OLDEST_MINOR = 7  # of the oldest Python 3 that models are served on


@dataclass(frozen=True)
class Source:
    """`sha256`: of its bytes. `minor`: the oldest Python 3 that has all of its syntax."""

    path: Path
    text: str
    tree: ast.Module
    sha256: str
    minor: int


def read(path: Path) -> Source:
    """A file of Python.

    Raises:
        UsageError: it is too large, cannot be read, or is no Python.
    """
    content = _content(path)
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        text = io.TextIOWrapper(io.BytesIO(content), encoding).read()
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        raise UsageError(
            f"{path} is not in the encoding that it should be in: {error}.",
            hint="Save it as UTF-8, or name its encoding in the first line: # coding: latin-1",
        ) from error
    tree, minor = _parsed(path, text)
    return Source(path, text, tree, hashlib.sha256(content).hexdigest(), minor)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(limits.FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}.", hint="Check that you may read the file."
        ) from error
    if len(content) > limits.FILE_BYTES:
        raise UsageError(
            f"{path} is larger than {limits.FILE_BYTES:,} bytes, which no file of code is.",
            hint="Keep data in a distribution, or out of the module that the model needs.",
        )
    return content


def _parsed(path: Path, text: str) -> tuple[ast.Module, int]:
    """The tree, and the oldest minor version of Python 3 whose parser takes the text."""
    for minor in range(OLDEST_MINOR, sys.version_info.minor + 1):
        try:
            return _tree(text, minor), minor
        except SyntaxError as error:
            problem = error
        except (ValueError, RecursionError, MemoryError) as error:
            raise UsageError(
                f"{path} cannot be parsed: {error or type(error).__name__}.",
                hint="The module that the model needs has to be a file of Python.",
            ) from error
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    raise UsageError(
        f"{path}, line {problem.lineno}, is no Python {version}: {problem.msg}.",
        hint="Mend the line. Code for a newer Python is read by a modelpack that runs on it; code "
        "for Python 2 cannot be served.",
    )


def _tree(text: str, minor: int) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old escapes in strings, which still work
        return ast.parse(text, feature_version=(3, minor))
