"""`python -m`: Debian packages of a stage, from the wheelhouse if it has them, else from mirrors.

Sources: apt-get(8), apt.conf(5), dpkg(1)
"""

from __future__ import annotations

import argparse
import glob
import os
import shutil
import subprocess
import sys

from . import debian
from .wheels import ca_bundle

_WHEELHOUSE = "/wheelhouse/debian"
_DOWNLOADS = "/debs"
_LISTS = "/var/lib/apt/lists"
_APT_CACHE = "/var/cache/apt"


def unpack(root: str, base: str, stage: str, names: list[str]) -> None:
    """Unpack packages and their dependencies that `base` lacks into `root`, for its platform.

    Raises:
        subprocess.CalledProcessError: apt-get failed.
    """
    source = os.path.join(_WHEELHOUSE, stage)
    if not os.path.isdir(source):
        source = _DOWNLOADS
        os.makedirs(os.path.join(source, "partial"))
        architecture = os.environ["TARGETARCH"]
        options = [
            f"-o=APT::Architecture={architecture}",
            f"-o=APT::Architectures={architecture}",
            f"-o=Dir::State::status={base}/var/lib/dpkg/status",
            f"-o=Dir::Cache::archives={source}",
        ]
        _install(options, ["--download-only", *names])
    debian.make(root, base, source)
    shutil.rmtree(_DOWNLOADS, ignore_errors=True)


def install(stage: str, names: list[str]) -> None:
    """Install packages for later commands of a stage.

    Raises:
        subprocess.CalledProcessError: dpkg or apt-get failed.
    """
    source = os.path.join(_WHEELHOUSE, stage)
    if os.path.isdir(source):
        files = sorted(glob.glob(os.path.join(source, "*.deb")))
        subprocess.run(["dpkg", "--install", *files], check=True)
    else:
        _install([], names)
        _empty(_APT_CACHE)


def _install(options: list[str], packages: list[str]) -> None:
    if ca_bundle():
        options = [*options, f"-o=Acquire::https::CaInfo={ca_bundle()}"]
    subprocess.run(["apt-get", *options, "update"], check=True)
    command = ["apt-get", *options, "install", "-y", "--no-install-recommends"]
    subprocess.run([*command, *packages], check=True)
    _empty(_LISTS)


def _empty(folder: str) -> None:
    for path in glob.glob(os.path.join(folder, "*")):
        if os.path.isdir(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)


def _main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--stage", required=True, help="folder of the wheelhouse")
    parser.add_argument("--unpack", nargs=2, metavar=("ROOT", "BASE"), help="do not install")
    parser.add_argument("names", nargs="+")
    options = parser.parse_args(arguments)
    if options.unpack:
        root, base = options.unpack
        unpack(root, base, options.stage, options.names)
    else:
        install(options.stage, options.names)


if __name__ == "__main__":
    try:
        _main(sys.argv[1:])
    except subprocess.CalledProcessError as error:  # the command has printed the reason
        sys.exit(error.returncode)
