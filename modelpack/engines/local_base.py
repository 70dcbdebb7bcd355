"""A base image from Debian packages and this machine's interpreter."""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import subprocess
from collections.abc import Collection, Iterable
from pathlib import Path

from modelpack import cache, processes
from modelpack import files as modelpack_files
from modelpack.engines import interpreters
from modelpack.engines.docker import connection
from modelpack.engines.podman import service
from modelpack.engines.protocol import OnStep
from modelpack.errors import NoEngineError
from modelpack.oci.reference import local_base_reference
from modelpack.types import BaseImage

HOSTS = {"docker": connection.connect_host, "podman": service.start}
"""The engines that can build a base image, and the functions that connect to them."""

_DOCKERFILE = """\
FROM scratch
ADD rootfs.tar /
COPY prefix/ /usr/local/
ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
ENV LANG=C.UTF-8 PYTHON_VERSION={version}
RUN --mount=type=bind,source=setup.sh,target=/tmp/setup.sh sh -e /tmp/setup.sh
CMD ["python3"]
"""

# Older versions of pip bring setuptools, which nothing needs.
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
    """Build a local base image from this machine's Debian or Ubuntu release and a CPython.

    The image contains the standard library and pip in /usr/local, and no other distribution.

    `python` is a version such as "3.11", and `engine` a key of `HOSTS`. The default of `reference`
    is `local_base_reference`.

    Raises:
        NoEngineError: No engine, interpreter or mmdebstrap, or not Debian or Ubuntu.
        BuildFailedError: The interpreter does not run in the image.
    """
    interpreter = interpreters.find(python)
    if interpreter is None:
        raise NoEngineError(
            f"There is no CPython {python} on this machine to build a base image from.",
            hint=f"Run: uv python install {python}",
        )
    host = HOSTS[engine]()
    reference = reference or local_base_reference(python)
    with processes.temporary_directory() as scratch:
        _fill(scratch, interpreter)
        options = [f"--tag={reference}"]
        connection.build_image(
            host.build_tool, scratch, on_step, environ=host.environ, options=options
        )
    return BaseImage(reference, python, "local")


def _fill(context: Path, interpreter: Path) -> None:
    destination = context / "prefix"
    if interpreter.is_relative_to("/usr/bin"):
        packages = {interpreter.name, f"{interpreter.name}-venv", "python3-pip"}
        link_prefix(interpreter, destination / "bin")
    else:
        copy_prefix(interpreter, destination)
        packages = packages_of(prefix_libraries(destination))
    archive = make_rootfs(packages)
    try:
        (context / "rootfs.tar").hardlink_to(archive)
    except OSError:  # the cache is on another file system
        shutil.copy2(archive, context / "rootfs.tar")
    (context / "Dockerfile").write_text(_DOCKERFILE.format(version=_full_version(interpreter)))
    (context / "setup.sh").write_text(_SETUP)


def _full_version(interpreter: Path) -> str:
    command = [str(interpreter), "-I", "-c", "import platform; print(platform.python_version())"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


# The service needs none of these. Distributions of this machine would hide those of the lock.
_UNWANTED_STDLIB = re.compile(
    r"site-packages|__pycache__|pkgconfig|tests?|idlelib|idle_test|turtledemo|tkinter|"
    r".*\.a|.*\.pyc|(_tkinter|nis|_?test\w*|_xx\w+|xx\w+|_ctypes_test)\.cpython-.*\.so"
)


def copy_prefix(interpreter: Path, destination: Path) -> None:
    """Copy the installation of an interpreter (PREFIX/bin/pythonX.Y).

    The copy lacks installed distributions, tests, tkinter, IDLE, static libraries and byte code.
    Its `ensurepip` installs pip as it was released.
    """
    name, prefix = interpreter.name, interpreter.parent.parent
    lib = destination / "lib"
    shutil.copytree(prefix / "lib" / name, lib / name, ignore=_ignore, copy_function=_copy_readable)
    # Builds from source need the headers. Official images have them, too.
    headers = f"include/{name}" + ("m" if (prefix / f"include/{name}m").is_dir() else "")
    if (prefix / headers).is_dir():
        shutil.copytree(prefix / headers, destination / headers, copy_function=_copy_readable)
    for library in prefix.glob(f"lib/lib{name}*.so.*"):
        _copy_readable(library, lib / library.name)
    link_prefix(interpreter, destination / "bin")
    (destination / "bin" / name).unlink()
    _copy_readable(interpreter.resolve(), destination / "bin" / name)
    strip_symbols(destination)


def strip_symbols(prefix: Path) -> None:
    """Remove the symbols of debuggers from an installation, as official images do.

    They can be three quarters of libpython. Without `strip` of binutils, they remain.
    """
    libraries = [str(path) for path in prefix.rglob("*.so*") if path.is_file()]
    if libraries and (program := shutil.which("strip")) is not None:
        command = [program, "--strip-unneeded", "--preserve-dates", *libraries]
        subprocess.run(command, check=False, capture_output=True)


def link_prefix(interpreter: Path, bin_: Path) -> None:
    """Create a directory with links to an interpreter, one for each of its names."""
    bin_.mkdir(parents=True)
    (bin_ / interpreter.name).symlink_to(interpreter)
    for alias in ("python3", "python"):
        (bin_ / alias).symlink_to(interpreter.name)


def prefix_libraries(prefix: Path) -> set[Path]:
    """List the shared libraries outside `prefix` that its programs and modules need."""
    objects = [*prefix.glob("bin/python*.*"), *prefix.rglob("*.so")]
    listing = subprocess.run(["ldd", *objects], capture_output=True, text=True, check=False).stdout
    found = {Path(match).resolve() for match in re.findall(r"=> (/\S+)", listing)}
    return {path for path in found if not path.name.startswith("libpython")}


def _ignore(_: str, names: Iterable[str]) -> set[str]:
    return {name for name in names if _UNWANTED_STDLIB.fullmatch(name)}


def _copy_readable(source: str | Path, target: str | Path) -> None:
    """Copy a file so that every user can read it, whatever umask its owner has."""
    shutil.copy2(source, target)
    mode = Path(target).stat().st_mode
    Path(target).chmod(mode | (0o555 if mode & 0o100 else 0o444))


_ALWAYS = ("ca-certificates", "libcrypt1", "netbase", "tzdata")
# Folders of /usr/share that only people read; without them the image is smaller.
_UNWANTED_FILES = ("doc", "man", "info", "locale", "lintian", "bash-completion")
_NO_SETUID = 'find "$1" -xdev -type f -perm /6000 -exec chmod a-s {} +'


def make_rootfs(packages: Collection[str]) -> Path:
    """Build a tar file with a minimal system of this release and some packages, once.

    Raises:
        NoEngineError: mmdebstrap is missing or failed, or this is not Debian or Ubuntu.
    """
    sources = _sources(_codename())
    names = sorted({*_ALWAYS, *packages})
    recipe = "\n".join([*sources, *names, *_UNWANTED_FILES, _NO_SETUID])
    digest = hashlib.sha256(recipe.encode()).hexdigest()[:16]
    archive = cache.directory("bases") / f"{_codename()}-{digest}.tar"
    if not archive.exists():
        with modelpack_files.atomic_directory(archive) as path:
            _mmdebstrap(path, names, sources)
        cache.prune("bases")
    cache.note_use(archive)
    return archive


def packages_of(files: Iterable[Path]) -> set[str]:
    """Return the Debian packages of this machine that contain some files."""
    # dpkg may list a file by its path before /lib became a link to /usr/lib.
    names = {str(name) for path in files for name in (path, _without_usr(path))}
    command = ["dpkg-query", "--search", *sorted(names)]
    listing = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return set(re.findall(r"^([a-z0-9][a-z0-9+.-]+)(?::\w+)?: /", listing, re.MULTILINE))


def _without_usr(path: Path) -> Path:
    return Path("/", path.relative_to("/usr")) if path.is_relative_to("/usr") else path


def _codename() -> str:
    try:
        return platform.freedesktop_os_release()["VERSION_CODENAME"]
    except (OSError, KeyError):
        raise NoEngineError(
            "A base image consists of packages of this machine's release, which is neither Debian "
            "nor Ubuntu.",
            hint="Choose a base image that is local or can be pulled: --base-image REFERENCE",
        ) from None


def _sources(codename: str) -> list[str]:
    """Return the lines of sources.list for a release, with the mirrors of this machine's apt.

    Local directories are not part of the release.
    """
    fields = "$(REPO_URI) $(RELEASE) $(COMPONENT) $(SIGNED_BY)"
    command = ["apt-get", "indextargets", "--format", fields, "Created-By: Packages"]
    try:
        listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoEngineError(f"apt-get cannot list its mirrors: {error}.") from error
    suites = {codename, f"{codename}-updates", f"{codename}-security"}
    return sorted(
        f"deb {_signed_by(*keyring)}{uri} {suite} {component}"
        for uri, suite, component, *keyring in map(str.split, listing.splitlines())
        if uri.startswith(("http://", "https://")) and suite in suites
    )


def _signed_by(keyring: str = "", *_: str) -> str:
    return f"[signed-by={keyring}] " if keyring.startswith("/") else ""


def _mmdebstrap(archive: Path, packages: Iterable[str], sources: Iterable[str]) -> None:
    command = [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        f"--include={','.join(packages)}",
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _UNWANTED_FILES),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        "--aptopt=Acquire::Languages none",
        f"--customize-hook={_NO_SETUID}",
        "--skip=output/dev",
        _codename(),
        str(archive),
        "-",
    ]
    try:
        processes.run(command, stdin="\n".join(sources))
    except FileNotFoundError:
        raise NoEngineError(
            "mmdebstrap, which builds base images from Debian packages, is not installed.",
            hint="apt-get install mmdebstrap",
        ) from None
    except subprocess.CalledProcessError as error:
        last = " / ".join(error.stderr.strip().splitlines()[-5:])
        raise NoEngineError(
            f"mmdebstrap failed. Its last lines: {last}",
            hint="Run modelpack as root, on a machine that reaches the mirrors of /etc/apt.",
        ) from error
