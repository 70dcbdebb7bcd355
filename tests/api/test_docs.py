"""The code blocks of docs/python.md, run in order as one script; the test among them by pytest."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGIN = "modelpack.api.pytest_plugin"
IMAGE = "modelpack-docs/iris:1"


@pytest.mark.engine
@pytest.mark.slow
def test_blocks_of_the_page_run(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "python.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    tests = [block for block in blocks if block.startswith("# test_")]
    script = "\n".join(block for block in blocks if block not in tests)
    assert len(tests) == 1
    assert len(blocks) > 6
    try:
        run(tmp_path, "-c", script)
    finally:
        subprocess.run(["docker", "rmi", "--force", IMAGE], capture_output=True, check=False)
    (tmp_path / "test_iris.py").write_text(tests[0])
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    shown = run(
        tmp_path, "-m", "pytest", "-q", "-p", PLUGIN, "-p", "no:cacheprovider", "test_iris.py"
    )
    assert "2 passed" in shown


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        check=False,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
