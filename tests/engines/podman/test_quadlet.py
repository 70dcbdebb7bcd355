"""docs/examples/iris.container, as the generator of Podman reads it for systemd."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.engine
UNIT = Path(__file__).parents[3] / "docs" / "examples" / "iris.container"
GENERATOR = "/usr/libexec/podman/quadlet"


def test_podman_generates_the_hardened_service(tmp_path: Path) -> None:
    shutil.copy(UNIT, tmp_path)
    done = subprocess.run(
        [GENERATOR, "-dryrun"],
        env={**os.environ, "QUADLET_UNIT_DIRS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    words = shlex.split(lines["ExecStart"])
    assert words[:2] == ["/usr/bin/podman", "run"]
    assert {"--read-only", "--security-opt=no-new-privileges", "--memory=256m"} <= {*words}
    assert words[words.index("--cap-drop") + 1] == "all"
    assert words[words.index("--stop-timeout") + 1] == "40"
    assert words[-1] == "localhost/iris:1"
    assert lines["Restart"] == "always"
