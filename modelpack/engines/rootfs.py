"""Makes a minimal root filesystem of this machine's own Debian or Ubuntu release."""

from __future__ import annotations

import hashlib
import platform
import re
import subprocess
from collections.abc import Collection, Iterable
from pathlib import Path

from modelpack import files as modelpack_files
from modelpack import processes
from modelpack.errors import NoEngineError

_ALWAYS = ("ca-certificates", "libcrypt1", "netbase", "tzdata")
_UNWANTED = ("doc", "man", "info", "locale", "lintian", "bash-completion")
_NO_SETUID = 'find "$1" -xdev -type f -perm /6000 -exec chmod a-s {} +'


def make(packages: Collection[str]) -> Path:
    """A tar file with a minimal system of this release and `packages`, made once and kept.

    Raises:
        NoEngineError: mmdebstrap is missing or failed, or this is no Debian or Ubuntu.
    """
    sources = _sources(_codename())
    names = sorted({*_ALWAYS, *packages})
    recipe = "\n".join([*sources, *names, *_UNWANTED, _NO_SETUID])
    digest = hashlib.sha256(recipe.encode()).hexdigest()[:16]
    archive = modelpack_files.folder("bases") / f"{_codename()}-{digest}.tar"
    if not archive.exists():
        with modelpack_files.made_whole(archive) as path:
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
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _UNWANTED),
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
