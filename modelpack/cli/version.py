"""`modelpack --version`: the version, and the engines on this machine.

Docker is queried over its socket: importing its SDK takes 80 ms, and starting its command longer.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import socket
from contextlib import suppress
from pathlib import Path

from modelpack._version import __version__

_SOCKET = "unix:///var/run/docker.sock"
_TIMEOUT = 0.5
_MAX_BYTES = 2**20


def text() -> str:
    """Return the lines of `modelpack --version`."""
    facts = {
        "python": f"{platform.python_version()}, {platform.system().lower()}/{platform.machine()}",
        "docker": _docker(),
        "podman": shutil.which("podman") or "not installed",
        "bwrap": shutil.which("bwrap") or "not installed",
    }
    lines = [f"{name:<8}{detail}" for name, detail in facts.items()]
    return "\n".join([f"modelpack, version {__version__}", *lines])


def _docker() -> str:
    host = os.environ.get("DOCKER_HOST") or _context_host() or _SOCKET
    if not host.startswith("unix://"):
        return f"at {host}, not queried"
    try:
        version = _query(host.removeprefix("unix://"))
        return f"{version['Version']}, {version['Os']}/{version['Arch']}"
    except PermissionError:
        return f"no permission for {host}: see modelpack doctor"
    except (OSError, ValueError, LookupError, TypeError):
        return f"no answer at {host}: see modelpack doctor"


def _query(path: str) -> dict[str, str]:
    """Return the response to `GET /version` of Docker's API. HTTP/1.0 ends it with a close."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_TIMEOUT)
        connection.connect(path)
        connection.sendall(b"GET /version HTTP/1.0\r\nHost: docker\r\n\r\n")
        response = b""
        while len(response) < _MAX_BYTES and (block := connection.recv(2**16)):
            response += block
    document: dict[str, str] = json.loads(response.partition(b"\r\n\r\n")[2])
    return document


def _context_host() -> str | None:
    """Return the address of the current `docker context`, None for the default one."""
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    with suppress(OSError, ValueError, LookupError, TypeError, RuntimeError):
        name = os.environ.get("DOCKER_CONTEXT")
        name = name or json.loads((folder / "config.json").read_bytes())["currentContext"]
        digest = hashlib.sha256(name.encode()).hexdigest()
        meta = json.loads((folder / "contexts" / "meta" / digest / "meta.json").read_bytes())
        return str(meta["Endpoints"]["docker"]["Host"])
    return None
