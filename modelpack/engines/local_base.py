"""A base image from Debian packages and this machine's interpreter."""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import subprocess
from collections.abc import Collection, Iterable
from pathlib import Path

from modelpack import files as modelpack_files
from modelpack import processes
from modelpack.engines import interpreters
from modelpack.engines.docker import connection
from modelpack.engines.podman import service
from modelpack.engines.protocol import OnStep
from modelpack.errors import NoEngineError
from modelpack.oci.reference import local_base_reference
from modelpack.types import BaseImage

HOSTS = {"docker": connection.connect_host, "podman": service.start}

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
    reference = reference or local_base_reference(python)
    with processes.temporary_directory() as scratch:
        _fill(scratch, interpreter)
        options = [f"--tag={reference}"]
        connection.build_image(
            host.build_tool, scratch, on_step, environ=host.environ, options=options
        )
    return BaseImage(reference, python, "local")


def _fill(context: Path, interpreter: Path) -> None:
    """Writes Docker's build context."""
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


_UNWANTED_STDLIB = re.compile(
    r"site-packages|__pycache__|pkgconfig|tests?|idlelib|idle_test|turtledemo|tkinter|"
    r".*\.a|.*\.pyc|(_tkinter|nis|_?test\w*|_xx\w+|xx\w+|_ctypes_test)\.cpython-.*\.so"
)


def copy_prefix(interpreter: Path, destination: Path) -> None:
    """Copies the installation of `interpreter` (PREFIX/bin/pythonX.Y) to `destination`.

    Left out: every installed distribution (pip among them: `ensurepip` of the copy brings it back,
    as it was released), tests, tkinter and IDLE, static libraries, byte code.
    """
    name, prefix = interpreter.name, interpreter.parent.parent
    lib = destination / "lib"
    shutil.copytree(prefix / "lib" / name, lib / name, ignore=_ignore, copy_function=_copy_readable)
    # Official images have the headers too: without them nothing is built from source.
    headers = f"include/{name}" + ("m" if (prefix / f"include/{name}m").is_dir() else "")
    if (prefix / headers).is_dir():
        shutil.copytree(prefix / headers, destination / headers, copy_function=_copy_readable)
    for library in prefix.glob(f"lib/lib{name}*.so.*"):
        _copy_readable(library, lib / library.name)
    link_prefix(interpreter, destination / "bin")
    (destination / "bin" / name).unlink()
    _copy_readable(interpreter.resolve(), destination / "bin" / name)


def link_prefix(interpreter: Path, bin_: Path) -> None:
    """Makes the folder `bin_` with links to `interpreter` by each name that it is called by."""
    bin_.mkdir(parents=True)
    (bin_ / interpreter.name).symlink_to(interpreter)
    for alias in ("python3", "python"):
        (bin_ / alias).symlink_to(interpreter.name)


def prefix_libraries(prefix: Path) -> set[Path]:
    """The shared libraries outside `prefix` that the programs and modules in it are linked to."""
    objects = [*prefix.glob("bin/python*.*"), *prefix.rglob("*.so")]
    listing = subprocess.run(["ldd", *objects], capture_output=True, text=True, check=False).stdout
    found = {Path(match).resolve() for match in re.findall(r"=> (/\S+)", listing)}
    return {path for path in found if not path.name.startswith("libpython")}


def _ignore(_: str, names: Iterable[str]) -> set[str]:
    return {name for name in names if _UNWANTED_STDLIB.fullmatch(name)}


def _copy_readable(source: str | Path, target: str | Path) -> None:
    """Copies a file so that every user may read it, even if its owner here had a strict umask."""
    shutil.copy2(source, target)
    mode = Path(target).stat().st_mode
    Path(target).chmod(mode | (0o555 if mode & 0o100 else 0o444))


_ALWAYS = ("ca-certificates", "libcrypt1", "netbase", "tzdata")
_UNWANTED_FILES = ("doc", "man", "info", "locale", "lintian", "bash-completion")
_NO_SETUID = 'find "$1" -xdev -type f -perm /6000 -exec chmod a-s {} +'


def make_rootfs(packages: Collection[str]) -> Path:
    """A tar file with a minimal system of this release and `packages`, made once and kept.

    Raises:
        NoEngineError: mmdebstrap is missing or failed, or this is no Debian or Ubuntu.
    """
    sources = _sources(_codename())
    names = sorted({*_ALWAYS, *packages})
    recipe = "\n".join([*sources, *names, *_UNWANTED_FILES, _NO_SETUID])
    digest = hashlib.sha256(recipe.encode()).hexdigest()[:16]
    archive = modelpack_files.cache_directory("bases") / f"{_codename()}-{digest}.tar"
    if not archive.exists():
        with modelpack_files.atomic_directory(archive) as path:
            _mmdebstrap(path, names, sources)
    return archive


def packages_of(files: Iterable[Path]) -> set[str]:
    """The Debian packages of this machine that `files` belong to."""
    # dpkg may know a file by its place before /lib became a link to /usr/lib.
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
            "A base image is made of this machine's own Debian or Ubuntu packages, and this "
            "machine runs neither.",
            hint="Give a base image that is here or can be pulled: --base-image REFERENCE",
        ) from None


def _sources(codename: str) -> list[str]:
    """The lines of sources.list for `codename`, from the mirrors that this machine's apt uses.

    Only those fetched over the network: a folder of this machine is no part of the release.
    """
    fields = "$(REPO_URI) $(RELEASE) $(COMPONENT) $(SIGNED_BY)"
    command = ["apt-get", "indextargets", "--format", fields, "Created-By: Packages"]
    try:
        listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoEngineError(f"apt does not tell its mirrors: {error}.") from error
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
            "A base image is made of Debian packages by mmdebstrap, which is not installed.",
            hint="apt-get install mmdebstrap",
        ) from None
    except subprocess.CalledProcessError as error:
        raise NoEngineError(
            f"mmdebstrap could not make a root filesystem. Its last lines: {_tail(error.stderr)}",
            hint="Run it as root, with the Debian mirrors of /etc/apt in reach.",
        ) from error


def _tail(text: str) -> str:
    return " / ".join(text.strip().splitlines()[-5:])
