"""Debian packages by this machine's apt-get.

It gets what the base image's own apt would get: by the base's sources and keys, on top of what is
installed there. No other setting is read, neither this machine's nor the base's, which may name
commands. That signatures hold is checked by apt.
Sources: apt-get(8), apt.conf(5), sources.list(5).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from modelpack import index_env, processes
from modelpack.engines.daemonless import rootfs
from modelpack.engines.daemonless.base_images import UnpackedBase
from modelpack.errors import BuildFailedError
from modelpack.types import IndexSettings

_KEYS = re.compile(r"(signed-by\s*[=:]\s*)(/[^\s\],]+(?:,\s*/[^\s\],]+)*)", re.IGNORECASE)
_SCHEME = re.compile(r"([A-Za-z][\w+.-]*):/")
_SECONDS = 600.0
_SETTINGS = """\
APT::Architecture "{architecture}";
APT::Architectures "{architecture}";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Dir::Cache "{folder}/cache";
Dir::Etc "{folder}/etc";
Dir::Etc::trustedparts "{folder}/base/etc/apt/trusted.gpg.d";
Dir::State "{folder}/state";
Dir::State::status "{folder}/base/var/lib/dpkg/status";
"""  # of the user: else, as root, one of apt's own, who cannot read the base's keys


def fetch(base: UnpackedBase, names: Sequence[str], target: Path, index: IndexSettings) -> None:
    """Puts the packages, and what else they take on `base`, into the new folder `target`.

    Raises:
        BuildFailedError: They are not available.
    """
    if shutil.which("apt-get") is None:
        raise _failed(names, "there is no apt-get here to fetch them")
    with processes.temporary_directory("modelpack-apt-") as folder:
        _prepare(folder, base, names, index)
        packages = ["install", "--yes", "--no-install-recommends", "--download-only", "--", *names]
        for command in (["update"], packages):
            _run(folder, command, names, index)
        target.mkdir(parents=True)
        for path in (folder / "cache" / "archives").glob("*.deb"):
            shutil.copyfile(path, target / path.name)


def _prepare(folder: Path, base: UnpackedBase, names: Sequence[str], index: IndexSettings) -> None:
    for name in ("etc/sources.list.d", "state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "base").symlink_to(base.root)  # whose own path may have spaces
    architecture = base.platform.partition("/")[2]
    settings = _SETTINGS.format(architecture=architecture, folder=folder)
    if index.ca_bundle:
        settings += f'Acquire::https::CaInfo "{index.ca_bundle}";\n'
    (folder / "apt.conf").write_text(settings)
    for path in _sources(base.root / "etc" / "apt"):
        text = host_sources(path.read_text("utf-8"), folder / "base")
        if strange := {*_SCHEME.findall(text)} - {"http", "https"}:
            kinds = ", ".join(sorted(strange))
            raise _failed(names, f"the base image has sources of another kind: {kinds}")
        (folder / "etc" / path.relative_to(base.root / "etc" / "apt")).write_text(text)


def _sources(folder: Path) -> Iterator[Path]:
    found = [folder / "sources.list", *(folder / "sources.list.d").glob("*")]
    return (p for p in found if p.suffix in {".list", ".sources"} and p.is_file())


def host_sources(sources: str, root: Path) -> str:
    """Sources without comments, whose keys lie below `root`."""
    lines = (line for line in sources.splitlines() if not line.lstrip().startswith("#"))
    text = "".join(f"{line}\n" for line in lines)
    return _KEYS.sub(lambda match: match[1] + re.sub(r"(^|,\s*)/", rf"\1{root}/", match[2]), text)


def _run(folder: Path, command: Sequence[str], names: Sequence[str], index: IndexSettings) -> None:
    proxies = {name: os.environ[name] for name in os.environ if name.lower().endswith("_proxy")}
    proxies |= {name.lower(): url for name, url in index_env.proxies(index).items()}
    environ = {**proxies, "APT_CONFIG": str(folder / "apt.conf"), "LC_ALL": "C", "PATH": os.defpath}
    done = rootfs.run_program(["apt-get", "--quiet", *command], environ, _SECONDS)
    if done.returncode:
        messages = [line for line in done.stderr.splitlines() if line.startswith(("E:", "W:"))]
        raise _failed(names, "apt-get fails:\n" + "\n".join(messages[-5:]))


def _failed(names: Sequence[str], why: str) -> BuildFailedError:
    return BuildFailedError(
        f"The image takes Debian packages, {' '.join(names)}, and {why}",
        hint="Give them in a wheelhouse (modelpack lock MODEL --download DIR, where Docker is;"
        " then --offline DIR), or use --engine docker or podman.",
    )
