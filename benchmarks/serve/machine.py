"""The machine and the versions of a run."""

from __future__ import annotations

import json
import os
import platform
import re
from pathlib import Path

from benchmarks.peers.table import PYTHON
from benchmarks.serve import wrk
from benchmarks.serve.models import NUMERIC
from benchmarks.serve.servers import COMPILED, OURS, compiled_bundle
from modelpack import __version__

LOCKS = Path(__file__).parents[1] / "peers"


def facts() -> dict[str, str]:
    cpuinfo = Path("/proc/cpuinfo").read_text()
    name = re.search(r"^model name\s*:\s*(.*)$", cpuinfo, re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": name[1] if name else platform.machine(),
        "processors": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory:.0f} GiB",
        "kernel": f"Linux {platform.release().partition('-')[0]}",
        "wrk": wrk.version(),
    }


def versions(bundle: Path) -> dict[str, str]:
    """Return the versions of the service with its Python, and of each peer from its lock."""
    bundles = {OURS: bundle, COMPILED: compiled_bundle(bundle)}
    ours = {name: _service(each) for name, each in bundles.items() if each.exists()}
    peers = {name: f"{_pinned(peer.name)}, Python {PYTHON}" for name, peer in NUMERIC.items()}
    return {**ours, **peers}


def _service(bundle: Path) -> str:
    python = json.loads((bundle / "modelpack.json").read_bytes())["environment"]["python"]
    return f"{__version__}, Python {python}"


def _pinned(name: str) -> str:
    found = re.search(rf"^{name}==(\S+)", (LOCKS / f"{name}.lock").read_text(), re.MULTILINE)
    return found[1] if found else "?"
