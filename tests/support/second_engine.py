"""A second Docker engine, which has built nothing, with the containerd image store."""

from __future__ import annotations

import json
import os
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

    It does not change the rules of the firewall, so its containers have no network.
    """
    folder = Path(tempfile.mkdtemp(prefix="modelpack-engine-", dir="/var/tmp"))
    try:
        with _bridge() as bridge, _daemon(folder, bridge) as host:
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
def _bridge() -> Iterator[str]:
    """Yield a bridge for the engine. Without one of its own, it would remove that of the other."""
    name = f"mptest{os.getpid()}"
    subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)
    try:
        subprocess.run(["ip", "address", "add", "10.213.47.1/24", "dev", name], check=True)
        yield name
    finally:
        subprocess.run(["ip", "link", "delete", name], check=True)


@contextmanager
def _daemon(folder: Path, bridge: str) -> Iterator[str]:
    host = f"unix://{folder}/docker.sock"
    (folder / "daemon.json").write_text(json.dumps({"features": {"containerd-snapshotter": True}}))
    folders = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
    command = ["dockerd", f"--host={host}", f"--config-file={folder}/daemon.json"]
    command += [f"--{option}={folder / name}" for option, name in folders.items()]
    command += [f"--bridge={bridge}", "--iptables=false", "--ip6tables=false"]
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
