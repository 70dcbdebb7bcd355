from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path


def test_script_writes_the_table_and_reports_differences(local_index, tmp_path):
    """On a copy of the repository's layout, from an index of our own."""
    root = Path(__file__).parents[2]
    script = tmp_path / "scripts" / "update_releases.py"
    table = tmp_path / "modelpack" / "environment" / "releases.json"
    script.parent.mkdir()
    table.parent.mkdir(parents=True)
    script.write_text((root / "scripts" / "update_releases.py").read_text())
    for name in re.findall(r'^    "([a-z0-9-]+)",$', script.read_text(), re.MULTILINE):
        local_index.add(name, "1.0", day="2015-01-01")
    local_index.add("numpy", "1.25.0", day="2023-06-17")
    local_index.add("numpy", "1.26.0rc1", day="2023-08-31")
    command = [sys.executable, str(script), local_index.url]
    subprocess.run(command, check=True)
    every = "3.6 3.7 3.8 3.9 3.10 3.11 3.12 3.13 3.14"
    assert json.loads(table.read_text())["releases"]["numpy"] == {"1.25.0": ["2023-06-17", every]}
    subprocess.run([*command, "--check"], check=True)
    local_index.add("numpy", "1.26.0", day="2023-09-16")
    result = subprocess.run([*command, "--check"], check=False, capture_output=True, text=True)
    assert result.returncode == 1
    assert f'"1.26.0": ["2023-09-16", "{every}"]' in result.stdout
