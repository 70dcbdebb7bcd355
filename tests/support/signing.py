"""Keys of cosign's own making."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

PASSWORD = "secret"


def make_keys(cosign: str, folder: Path) -> Path:
    """Puts cosign.key, which PASSWORD opens, and cosign.pub into `folder`, which it returns."""
    environ = {**os.environ, "COSIGN_PASSWORD": PASSWORD}
    command = [cosign, "generate-key-pair"]
    subprocess.run(command, cwd=folder, env=environ, check=True, capture_output=True)
    return folder
