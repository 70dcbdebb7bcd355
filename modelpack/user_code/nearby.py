"""Search for the script that saved a model, among the files next to the model.

The files are parsed, not executed. They are named in a hint, and used only if the user names them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from modelpack.errors import UsageError

from .script import names_defined
from .source import FILE_BYTES, parse, read

_MAX_FILES = 200
_NOTEBOOK_BYTES = 16 * FILE_BYTES
"""Notebooks contain images."""


def script_near(models: Iterable[str], names: Iterable[str]) -> Path | None:
    """Return a script or notebook next to the model files that defines all names.

    Args:
        models: Paths of the model files.
        names: Classes and functions at the top of the script.
    """
    wanted = set(names)
    folders = dict.fromkeys(Path(model).parent for model in models)
    files = islice((path for folder in folders for path in _files(folder)), _MAX_FILES)
    ordered = sorted(files, key=lambda path: path.suffix == ".ipynb")
    return next((path for path in ordered if wanted <= _defined(path, wanted)), None)


def _files(folder: Path) -> Iterator[Path]:
    """Yield regular files. A notebook next to a script of its name would overwrite the script."""
    try:
        paths = sorted(islice(folder.iterdir(), 10 * _MAX_FILES))
    except OSError:
        return
    for path in paths:
        is_code = path.suffix == ".py" or (
            path.suffix == ".ipynb" and not path.with_suffix(".py").exists()
        )
        if is_code and path.is_file() and not path.is_symlink():
            yield path


def _defined(path: Path, wanted: set[str]) -> set[str]:
    """Return the classes and functions of a file. Empty if it cannot be read or parsed."""
    limit = _NOTEBOOK_BYTES if path.suffix == ".ipynb" else FILE_BYTES
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
        if len(content) > limit or not all(name.encode() in content for name in wanted):
            return set()  # most files are not parsed
        source = read(path) if path.suffix == ".py" else parse(path, _code_of(content).encode())
        return names_defined(source)
    except (OSError, UsageError, ValueError, RecursionError, TypeError, AttributeError):
        return set()


def _code_of(notebook: bytes) -> str:
    """Return the code cells of a notebook, without the lines for IPython."""
    cells = json.loads(notebook).get("cells", [])
    sources = ["".join(cell["source"]) for cell in cells if cell.get("cell_type") == "code"]
    lines = "\n".join(sources).split("\n")
    return "\n".join("" if line.startswith(("%", "!")) else line for line in lines)
