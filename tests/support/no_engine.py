"""A machine on which no container engine answers."""

from __future__ import annotations

import os
from pathlib import Path


def environ(folder: Path) -> dict[str, str]:
    """Variables with which neither Docker nor Podman is found. `folder`: has no such files."""
    return {
        **os.environ,
        "DOCKER_HOST": f"unix://{folder}/no-engine.sock",
        "CONTAINERS_CONF_OVERRIDE": f"{folder}/no-containers.conf",
    }
