"""`python -m`: wheels of a lock file, downloaded or built by pip.

pip also reads the environment and the secrets of the build. It downloads one file after the other,
and mostly waits for its own processor, so several pips share a lock file.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Mapping, Sequence

_CA = "/run/secrets/ca"
_MAX_PROCESSES = 4


def run_pip(options: argparse.Namespace) -> int:
    """Run pip, and return its exit status."""
    words = ["--require-hashes", "--only-binary", ":all:", "--no-deps"]
    environ = dict(os.environ)
    locks = [options.lock]
    with tempfile.TemporaryDirectory() as folder:
        if options.install:
            command = "install"
            words += ["--ignore-installed"]
            environ["PIP_BREAK_SYSTEM_PACKAGES"] = "1"
        elif options.build:
            command = "wheel"
            words += ["--no-binary", options.build, "--no-build-isolation"]
            words += ["--wheel-dir", options.directory]
            environ["CFLAGS"] = "-g0"
        else:
            command = "download"
            words += ["--dest", options.directory]
            words += ["--python-version", options.python, "--implementation", "cp"]
            locks = split(options.lock, folder, min(os.cpu_count() or 1, _MAX_PROCESSES))
        if ca_bundle():
            words += ["--cert", ca_bundle()]
        pip = [sys.executable, "-m", "pip", command, *words, "--requirement"]
        return _run([[*pip, lock] for lock in locks], environ)


def split(lock: str, folder: str, count: int) -> list[str]:
    """Split a lock file into at most `count` files in `folder`, and return their paths.

    A distribution with many hashes has many wheels with machine code, which are large. These are
    distributed evenly.
    """
    with open(lock, encoding="utf-8") as file:
        head, *entries = re.split(r"^(?=[A-Za-z0-9])", file.read(), flags=re.MULTILINE)
    entries.sort(key=lambda entry: entry.count("--hash"), reverse=True)
    paths = []
    for number in range(min(count, len(entries)) or 1):
        paths.append(os.path.join(folder, f"{number}.lock"))
        with open(paths[-1], "w", encoding="utf-8") as file:
            file.write(head + "".join(entries[number::count]))
    return paths


def _run(commands: Sequence[Sequence[str]], environ: Mapping[str, str]) -> int:
    """Run commands in parallel, and return the first exit status that is not 0.

    The output of the command that fails comes last, and ends the others.
    """
    processes = [
        subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for command in commands
    ]
    status = 0
    with ThreadPoolExecutor(len(processes)) as pool:
        waiting = {pool.submit(process.communicate): process for process in processes}
        for done in as_completed(waiting):
            if not status:
                sys.stdout.write(done.result()[0])
                status = waiting[done].returncode
                for process in processes if status else ():
                    process.terminate()
    return status


def ca_bundle() -> str:
    """Return the path of the CA certificates for the package index, or "" if none are set."""
    return _CA if os.path.isfile(_CA) and os.path.getsize(_CA) > 0 else ""


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", nargs="?")
    parser.add_argument("--lock", required=True)
    parser.add_argument("--python", help="version that the wheels are for")
    parser.add_argument("--build", help="distributions to build, separated by commas")
    parser.add_argument("--install", action="store_true", help="install instead, for a build")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(run_pip(parse(sys.argv[1:])))
