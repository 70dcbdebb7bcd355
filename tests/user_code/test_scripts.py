"""A script as a module: its definitions are kept, and its main part does not run."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from code_specs import spec_naming, write

from modelpack.errors import UsageError
from modelpack.types import Code
from modelpack.user_code import CodeOptions, find_code, notices

SCRIPT = '''#!/usr/bin/env python
# coding: utf-8
"""Trains."""
from __future__ import annotations
import os, sys
import math as m, json
from helpers import clip, unused
from pathlib import Path

open("ran", "w").write("it ran")
X, y = json.load(open("nowhere.json"))
LIMIT = 3  # most
STOP = set()
STOP.add("a")
WORDS = {}
for word in ("b", "c"):
    WORDS[word] = 1
a = 1; B = a + 1

# Half of it.
# In fact.
def half(x):
    y = m.floor(x)
    return y / 2 + B


class Model:
    """Kept as it is."""
    words = STOP | set(WORDS)

    def fit(self, X, y):  # and this
        self.limit = LIMIT
        return self

    def predict(self, X):
        return [clip(half(x)) for x in X]


class Unused:
    pass


def predict_all(rows):
    return model.predict(rows)


if __name__ == "__main__":
    SCALE = 3

    class Late(Model):
        scale = SCALE

    model = Model().fit(X, y)
    os.remove("nowhere")
'''
MAIN = "modelpack_main.py"
READS = "import pandas as pd\nT = pd.read_csv('x')\n"


def find(root: Path, *names: str, script: str = SCRIPT, path: str = "train.py") -> Code:
    write(root, {path: script})
    spec = spec_naming(root / "elsewhere" / "model.pkl", *(f"__main__:{name}" for name in names))
    return find_code(spec, CodeOptions(paths=(root / path,)))


def text(code: Code) -> str:
    return next(file.text or "" for file in code.files if file.path == MAIN)


def executed(code: Code, folder: Path, expression: str) -> str:
    """Return the output of an interpreter for an expression on the module, next to its imports."""
    write(folder, {MAIN: text(code), "helpers.py": "def clip(x): return min(x, 4)\n"})
    command = [sys.executable, "-c", f"from modelpack_main import *; print({expression})"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_main_part_does_not_run(tmp_path: Path) -> None:
    write(tmp_path, {"helpers.py": ""})
    code = find(tmp_path, "Model")
    run = tmp_path / "run"
    assert executed(code, run, "Model().predict([3.5, 99])") == "[3.5, 4]"
    assert executed(code, run, "sorted(Model.words)") == "['a', 'b', 'c']"
    assert sorted(path.name for path in run.iterdir() if path.suffix) == ["helpers.py", MAIN]


def test_only_referenced_definitions_are_kept_unchanged(tmp_path: Path) -> None:
    write(tmp_path, {"helpers.py": ""})
    kept = text(find(tmp_path, "Model"))
    assert "# Definitions of train.py, the script" in kept.splitlines()[0]
    assert "def fit(self, X, y):  # and this" in kept
    assert "# Half of it.\n# In fact.\ndef half(x):" in kept
    assert "import math as m\n" in kept
    assert "from helpers import clip\n" in kept
    names = {node.id for node in ast.walk(ast.parse(kept)) if isinstance(node, ast.Name)}
    assert not names & {"json", "open", "os", "sys", "Path", "unused", "SCALE", "model", "Unused"}
    assert "Unused" not in kept


def test_definitions_under_the_guard_of_the_main_part_are_found(tmp_path: Path) -> None:
    write(tmp_path, {"helpers.py": ""})
    code = find(tmp_path, "Late")
    assert executed(code, tmp_path / "run", "Late.scale") == "3"
    assert "os.remove" not in text(code)


def test_imports_of_a_script_are_followed(tmp_path: Path) -> None:
    write(tmp_path, {"helpers.py": "import more", "more.py": "import yaml"})
    code = find(tmp_path, "Model")
    assert [file.path for file in code.files] == ["helpers.py", MAIN, "more.py"]
    assert list(code.requirements) == ["pyyaml"]


def test_line_that_runs_at_service_start_is_reported(tmp_path: Path) -> None:
    write(tmp_path, {"helpers.py": ""})
    assert not any("runs when" in note for note in find(tmp_path, "Model").notes)
    notes = [note for note in find(tmp_path, "predict_all").notes if "runs when" in note]
    assert "line 11, runs when the service starts" in notes[0]
    assert "X, y = json.load(open('nowhere.json'))" in notes[0]


@pytest.mark.parametrize(
    ("script", "kept"),
    [
        (f"{READS}class M:\n    def f(self, T): return T\n", False),
        (f"{READS}class M:\n    def f(self): return T\n", True),
        (f"{READS}class M:\n    T = 1\n    def f(self): self.T\n", False),
        (f"{READS}class M:\n    f = [T for T in ()]\n", False),
        (f"{READS}class M:\n    f = [x for x in T]\n", True),
        (f"{READS}class M:\n    f = {{T: 1 for T in ()}}\n", False),
        (f"{READS}class M:\n    f = [x for x in () for T in x if T]\n", False),
        (f"{READS}class M:\n    f = [x for x in () for y in T]\n", True),
        (f"{READS}A = [T for T in ()]\nclass M:\n    f = A\n", False),
        (f"{READS}A = [(T := x) for x in ()]\nclass M:\n    f = T\n", True),
        (f"{READS}A = [f for f in T]\nclass M:\n    f = A\n", True),
        (f"{READS}class M:\n    T = T\n", True),
        ("import pandas as pd\nclass M:\n    x = 1\nT = pd.read_csv('x')\nM.x = T\n", True),
        ("import pandas as pd\nclass M:\n    x = 1\nT = pd.read_csv('x')\nM.train(T)\n", False),
    ],
)  # fmt: skip
def test_scopes_are_those_of_python(tmp_path: Path, script: str, kept: bool) -> None:
    code = find(tmp_path, "M", script=script)
    assert ("read_csv" in text(code)) == kept
    assert any("runs when the service starts" in note for note in code.notes) == kept


def test_a_script_inside_a_package_may_import_relatively(tmp_path: Path) -> None:
    write(tmp_path, {"shop/__init__.py": "", "shop/prices.py": "", "shop/deep/__init__.py": ""})
    script = "from ..prices import base\nfrom . import other\nclass M(base):\n    x = other\n"
    write(tmp_path, {"shop/deep/other.py": ""})
    code = find(tmp_path, "M", script=script, path="shop/deep/train.py")
    assert "from shop.prices import base\nfrom shop.deep import other\n" in text(code)
    assert [file.path for file in code.files] == [
        MAIN, "shop/__init__.py", "shop/deep/__init__.py", "shop/deep/other.py", "shop/prices.py",
    ]  # fmt: skip


def test_script_without_the_definition_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not define Absent, which the model needs"):
        find(tmp_path, "Absent")


def test_script_that_defines_the_class_is_used(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "class Other: ...\n", "b.py": "class M: ...\n"})
    spec = spec_naming(tmp_path / "model.pkl", "__main__:M")
    code = find_code(spec, CodeOptions(paths=(tmp_path / "a.py", tmp_path / "b.py")))
    assert notices(code)[0].endswith("b.py")
    assert code.defined == ("__main__:M",)


def test_without_a_script_it_is_missing(tmp_path: Path) -> None:
    """A script next to the model is not used either: it may have come with the model."""
    write(tmp_path, {"train.py": SCRIPT})
    code = find_code(spec_naming(tmp_path / "model.pkl", "__main__:Model"), CodeOptions())
    assert (code.files, code.missing) == ((), ("__main__",))


def test_a_script_that_is_nested_deeply_is_no_bug(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nested too deeply|cannot be parsed"):
        find(tmp_path, "M", script="class M: ...\nx = " + "1 + " * 900 + "1\n")


def test_a_name_of_a_script_adds_no_line(tmp_path: Path) -> None:
    code = find(tmp_path, "M", script="class M: ...\n", path="a\nimport os\n.py")
    assert len(ast.parse(text(code)).body) == 1
