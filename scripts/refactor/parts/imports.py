"""Modules that commands and the service import, by `-X importtime`."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from checkout import Checkout

from . import services
from .settings import Settings

_IRIS = "sample_models/iris/model.joblib"
_COMMANDS = {
    "help": ("--help",),
    "inspect": ("inspect", _IRIS),
    "package-help": ("package", "--help"),
}
_LINE = re.compile(r"^import time: +\d+ \| +\d+ \| +(\S+)$", re.MULTILINE)


def record(checkout: Checkout, _: Settings, output: Path) -> None:
    for name, arguments in _COMMANDS.items():
        log = checkout.run(*arguments, PYTHONPROFILEIMPORTTIME="1").stderr
        _write(output / name, log)
    _write(output / "service", _service(checkout))


def _service(checkout: Checkout) -> str:
    """Start the service with the interpreter that `modelpack serve` starts it with."""
    checkout.require("bundle", _IRIS, "-o", "imports", "--quiet")
    first = checkout.work / "imports-first.log"
    with services.serving(checkout, "imports", first, WEB_CONCURRENCY="1") as port:
        python = _interpreter(port)
    # Not the log of the first service: what it writes late would overwrite lines of this one.
    log = checkout.work / "imports.log"
    port = services.free_port()
    bind = f"--bind=127.0.0.1:{port}"
    command = ["-X", "importtime", "-m", "gunicorn", "--config=gunicorn.conf.py", bind, "app:app"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [python, *command],
            cwd=checkout.work / "imports",
            env=checkout.environment(WEB_CONCURRENCY="1"),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            services.await_ready(port, process, log)
        finally:
            process.terminate()
            process.wait(60)
    return log.read_text()


def _interpreter(port: int) -> str:
    """Return the first word of the command line of the service on `port`."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"gunicorn" in words and f"PORT={port}".encode() in variables:
            return words[0].decode()
    raise SystemExit("no process of the service was found")


def _write(path: Path, log: str) -> None:
    names = sorted(set(_LINE.findall(log)))
    ours = [name for name in names if name.split(".")[0] == "modelpack"]
    others = [name for name in names if name not in set(ours)]
    path.with_suffix(".txt").write_text("\n".join(others) + "\n")
    listed = "\n".join(ours)
    path.with_name(f"{path.name}-modelpack.txt").write_text(f"{len(ours)} modules\n{listed}\n")
