"""Scripts next to a model that define what it needs from `__main__`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from code_specs import spec_naming

from modelpack.errors import EnvironmentNotResolvedError
from modelpack.types import Code
from modelpack.user_code.messages import require_found
from modelpack.user_code.nearby import script_near

SCRIPT = "def normalize(text):\n    return text.lower()\n\n\nclass Words:\n    pass\n"
LARGE = "# " + "x" * 2**20 + "\n"


def notebook(*sources: str | list[str]) -> str:
    cells = [{"cell_type": "code", "source": source} for source in sources]
    return json.dumps({"cells": [{"cell_type": "markdown", "source": "normalize"}, *cells]})


def hint(folder: Path, *names: str) -> str:
    spec = spec_naming(folder / "model.pkl", *(f"__main__:{name}" for name in names))
    with pytest.raises(EnvironmentNotResolvedError) as error:
        require_found(spec, Code(missing=("__main__",)))
    return error.value.hint


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("08_text.py", SCRIPT),
        ("text.ipynb", notebook("%matplotlib inline\n!ls", SCRIPT.splitlines(keepends=True))),
    ],
)
def test_file_that_defines_all_names_is_found(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / "07_other.py").write_text("def normalize(): ...\n# Words\n")
    (tmp_path / name).write_text(content)
    model = str(tmp_path / "model.pkl")
    assert script_near([model], ["normalize", "Words"]) == tmp_path / name
    assert script_near([model], ["normalize", "Words", "other"]) is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", SCRIPT),
        ("a.py", "print normalize, Words\n" + SCRIPT),
        ("a.py", LARGE + SCRIPT),
        ("a.py", SCRIPT + "x = " + "(" * 100_000),
        ("a.ipynb", "normalize Words"),
        ("a.ipynb", '["normalize", "Words"]'),
        ("a.ipynb", '{"cells": [{"cell_type": "code", "source": 5}], "x": "normalize Words"}'),
        ("a.ipynb", '{"normalize": "Words", "cells": ' + "[" * 100_000),
    ],
)
def test_file_that_cannot_be_parsed_is_ignored(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert script_near([str(tmp_path / "model.pkl")], ["normalize", "Words"]) is None


def test_links_pipes_and_folders_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/text.py").write_text(SCRIPT)
    (tmp_path / "link.py").symlink_to("elsewhere/text.py")
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "folder.py").mkdir()
    assert script_near([str(tmp_path / "model.pkl")], ["normalize"]) is None


def test_notebook_does_not_replace_a_script(tmp_path: Path) -> None:
    (tmp_path / "text.ipynb").write_text(notebook(SCRIPT))
    (tmp_path / "text.py").write_text("")
    assert script_near([str(tmp_path / "model.pkl")], ["normalize"]) is None


def test_hint_names_the_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my text.py").write_text(SCRIPT)
    assert hint(tmp_path, "normalize", "Words.Inner") == (
        "If you trust the author of my text.py, which defines Words, normalize, name it (only its "
        "definitions are used): --code 'my text.py'"
    )


def test_hint_converts_the_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.ipynb").write_text(notebook(SCRIPT))
    assert hint(tmp_path, "normalize").endswith(
        "convert it: jupyter nbconvert --to script text.ipynb, and give: --code text.py"
    )


def test_hint_names_what_the_script_must_define(tmp_path: Path) -> None:
    assert hint(tmp_path, *"abcdefg") == (
        "Name the script that defines a, b, c, d, e and 2 more (only its definitions are used): "
        "--code FILE.py"
    )
