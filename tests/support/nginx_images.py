"""The image of nginx that scripts/proxy.sh pulls or makes."""

from __future__ import annotations

import os
import subprocess

import pytest

from modelpack.deployment.targets import PROXY_IMAGE

IMAGES = (PROXY_IMAGE, "modelpack.invalid/nginx")


def find_nginx() -> str:
    """Return an image of nginx; skip the test (fail in CI) without one."""
    for image in IMAGES:
        command = ["docker", "image", "inspect", image]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return image
    message = "no image of nginx; run scripts/proxy.sh"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
