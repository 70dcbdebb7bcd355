"""What `kubectl kustomize` makes of the files of a deployment."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from deployments import deployment

from modelpack.deployment import TARGETS, render
from modelpack.deployment.targets import OVERLAY


def kustomized(target: str, folder: Path, **changes: object) -> list[dict[str, Any]]:
    """Return the objects that `kubectl kustomize` makes of the files, with all components."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    for name, text in render(target, deployment(**changes)).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(re.sub("^# ?(components:|  - )", r"\1", text, flags=re.M))
    token = folder / TARGETS[target].token_file
    token.parent.mkdir(parents=True, exist_ok=True)
    token.write_text("t" * 64)
    command = ["kubectl", "kustomize", folder / OVERLAY]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))
