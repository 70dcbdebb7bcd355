"""Makes a base image of Debian packages and an interpreter of this machine: for machines that
reach no image registry, or may not use one.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from modelpack import processes
from modelpack.engines import daemon, interpreters, podman_service, prefix, rootfs
from modelpack.engines.protocol import OnStep
from modelpack.errors import NoEngineError
from modelpack.oci.reference import local_reference
from modelpack.types import BaseImage

HOSTS = {"docker": daemon.host, "podman": podman_service.start}

_DOCKERFILE = """\
FROM scratch
ADD rootfs.tar /
COPY prefix/ /usr/local/
ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
ENV LANG=C.UTF-8 PYTHON_VERSION={version}
RUN --mount=type=bind,source=setup.sh,target=/tmp/setup.sh sh -e /tmp/setup.sh
CMD ["python3"]
"""

# setuptools comes with the pip of older versions, and nothing here needs it.
_SETUP = """\
ldconfig
export PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
python -m pip --version || {
    python -m ensurepip --default-pip
    python -m pip uninstall --quiet --yes setuptools
}
stdlib=$(python -c 'import os; print(os.path.dirname(os.__file__))')
test -d "$stdlib/__pycache__" ||
    python -m compileall -q -j 0 --invalidation-mode unchecked-hash "$stdlib"
python -c 'import bz2, ctypes, hashlib, lzma, multiprocessing, sqlite3, ssl, uuid, venv, zlib'
"""


def build_base(
    python: str, *, reference: str | None = None, engine: str = "docker", on_step: OnStep
) -> BaseImage:
    """Makes the local base image for Python `python` ("3.11") and names it `reference`.

    It has the root filesystem of this machine's own Debian or Ubuntu release, and in /usr/local
    the standard library and pip of a CPython found here, without anything installed into it.
    `engine`: of `HOSTS`.

    Raises:
        NoEngineError: no engine, interpreter or mmdebstrap, or not Debian or Ubuntu.
        BuildFailedError: the interpreter does not run in the image.
    """
    interpreter = interpreters.find(python)
    if interpreter is None:
        raise NoEngineError(
            f"There is no CPython {python} on this machine to make a base image of.",
            hint=f"Install one, for instance: uv python install {python}",
        )
    host = HOSTS[engine]()
    reference = reference or local_reference(python)
    with processes.scratch_folder() as scratch:
        _fill(scratch, interpreter)
        options = [f"--tag={reference}"]
        host.builder.build(scratch, on_step, environ=host.environ, options=options)
    host.client.close()
    return BaseImage(reference, python, "local")


def _fill(context: Path, interpreter: Path) -> None:
    """Writes Docker's build context."""
    destination = context / "prefix"
    if interpreter.is_relative_to("/usr/bin"):
        packages = {interpreter.name, f"{interpreter.name}-venv", "python3-pip"}
        prefix.link(interpreter, destination / "bin")
    else:
        prefix.copy(interpreter, destination)
        packages = rootfs.packages_of(prefix.libraries(destination))
    archive = rootfs.make(packages)
    try:
        (context / "rootfs.tar").hardlink_to(archive)
    except OSError:  # the cache is on another file system
        shutil.copy2(archive, context / "rootfs.tar")
    (context / "Dockerfile").write_text(_DOCKERFILE.format(version=_full_version(interpreter)))
    (context / "setup.sh").write_text(_SETUP)


def _full_version(interpreter: Path) -> str:
    command = [str(interpreter), "-I", "-c", "import platform; print(platform.python_version())"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
