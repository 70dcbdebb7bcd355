"""`python -m`: wheels of a lock file, downloaded or built by pip.

pip also reads the environment and the secrets of the build.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

_CA = "/run/secrets/ca"


def run_pip(options: argparse.Namespace) -> int:
    """Run pip, and return its exit status."""
    words = ["--requirement", options.lock, "--require-hashes", "--only-binary", ":all:"]
    words += ["--no-deps"]
    environ = dict(os.environ)
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
    if ca_bundle():
        words += ["--cert", ca_bundle()]
    pip = [sys.executable, "-m", "pip", command]
    return subprocess.run([*pip, *words], check=False, env=environ).returncode


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
