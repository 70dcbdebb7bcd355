"""What Podman has to be told on this machine before it runs anything: nothing on most.

Each need is a function that gives lines of a containers.conf(5), or none. They are laid over the
user's own for the commands of modelpack only, by CONTAINERS_CONF_OVERRIDE.
"""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

_SYS_RESOURCE = 24  # capabilities(7)
# What Podman asks for: common's defaults, pkg/config.
_WANTED = 1048576
_STATUS = Path("/proc/self/status")
# cgroups(7), "hybrid": version 1, with a tree of version 2 beside.
_UNIFIED = Path("/sys/fs/cgroup/unified/cgroup.controllers")


def overrides() -> str:
    """The text of a containers.conf, empty where nothing needs to be told."""
    sections = {"engine": _runtime(), "containers": _limits()}
    return "".join(f"[{name}]\n{line}\n" for name, line in sections.items() if line)


def variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Those that Podman and what it starts need beside `environ`."""
    needed = {"PODMAN_IGNORE_CGROUPSV1_WARNING": "1"}
    # netavark(1) of Debian drives nft, which is only recommended there; Docker brings iptables.
    if not shutil.which("nft") and shutil.which("iptables"):
        needed["NETAVARK_FW"] = "iptables"
    return {name: value for name, value in needed.items() if name not in environ}


def _runtime() -> str:
    """Crun refuses to run where a controller has been given to the tree of version 2."""
    if not (_UNIFIED.is_file() and _UNIFIED.read_text().strip() and shutil.which("runc")):
        return ""
    asked = ["podman", "info", "--format={{.Host.OCIRuntime.Name}}"]
    name = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return 'runtime = "runc"' if name == "crun" else ""


def _limits() -> str:
    """Nobody may have more than their own hard limits but who has CAP_SYS_RESOURCE: builds fail by
    "setting rlimits: operation not permitted".
    """
    files, processes = (
        resource.getrlimit(number)[1] for number in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC)
    )
    if _may_raise_limits() or min(_unlimited(files), _unlimited(processes)) >= _WANTED:
        return ""
    limits = f'"nofile={files}:{files}", "nproc={processes}:{processes}"'
    return f"default_ulimits = [{limits}]"


def _unlimited(limit: int) -> float:
    return float("inf") if limit == resource.RLIM_INFINITY else limit


def _may_raise_limits() -> bool:
    effective = re.search(r"^CapEff:\s*([0-9a-f]+)$", _STATUS.read_text(), re.MULTILINE)
    return bool(effective and int(effective[1], 16) >> _SYS_RESOURCE & 1)
