"""A second Docker engine, which has built nothing, with the containerd image store."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 60


@contextmanager
def run_engine(*images: str) -> Iterator[str]:
    """Start an engine with copies of these images, and yield its DOCKER_HOST.

    It has no networks, so it neither changes the rules of the firewall nor runs services.
    """
    folder = Path(tempfile.mkdtemp(prefix="modelpack-engine-", dir="/var/tmp"))
    try:
        with _daemon(folder) as host:
            for image in images:
                with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saved:
                    load = ["docker", f"--host={host}", "load", "--quiet"]
                    subprocess.run(load, stdin=saved.stdout, check=True, capture_output=True)
            yield host
    finally:
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted(mounts, reverse=True):
            if mount.startswith(f"{folder}/"):
                subprocess.run(["umount", mount], check=False)
        shutil.rmtree(folder)


@contextmanager
def _daemon(folder: Path) -> Iterator[str]:
    host = f"unix://{folder}/docker.sock"
    (folder / "daemon.json").write_text(json.dumps({"features": {"containerd-snapshotter": True}}))
    folders = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
    command = ["dockerd", f"--host={host}", f"--config-file={folder}/daemon.json"]
    command += [f"--{option}={folder / name}" for option, name in folders.items()]
    command += ["--bridge=none", "--iptables=false", "--ip6tables=false"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(host):
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"dockerd does not start: {(folder / 'log').read_text()}")
            time.sleep(0.1)
        yield host
    finally:
        process.terminate()
        process.wait(timeout=60)


def _answers(host: str) -> bool:
    command = ["docker", f"--host={host}", "info"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
