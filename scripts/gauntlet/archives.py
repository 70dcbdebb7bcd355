"""Archives of the configured package index: found by name, verified, and members copied."""

from __future__ import annotations

import re
import subprocess
import tarfile
import zipfile
from collections.abc import Sequence
from html import unescape
from pathlib import Path
from typing import IO
from urllib.parse import urljoin

from modelpack import index_env
from modelpack.environment.artifacts import Artifact, fetch, sha256_of
from modelpack.environment.downloads import Transport
from modelpack.environment.uv import environment_variables
from modelpack.types import IndexSettings

MAX_ARCHIVE = 100 * 10**6
MAX_MEMBER = 50 * 10**6
_LINK = re.compile(r'<a\s[^>]*?href="([^"]+)"[^>]*>\s*([^<]+?)\s*</a>')


def download(package: str, archive: str, sha256: str, folder: Path, index: IndexSettings) -> Path:
    """Download an archive into `folder` unless it is there, and return its path.

    Raises:
        ValueError: The index does not have it, or it is too large.
        EnvironmentNotResolvedError: It cannot be downloaded, or is another file.
    """
    path = folder / archive
    if path.is_file() and sha256_of(path) == sha256:
        return path
    project = re.sub(r"[-_.]+", "-", package).lower()
    url = f"{index_url(index).rstrip('/')}/{project}/"
    with Transport(index) as source:
        page = b"".join(source.blocks(url)).decode()
    artifact = Artifact(archive, find_link(page, archive, url), sha256)
    folder.mkdir(parents=True, exist_ok=True)
    fetch([artifact], folder, index, _refuse_large)
    return path


def index_url(index: IndexSettings) -> str:
    """Return the URL of the configured index; that of uv's default if none is configured."""
    if index.index_url:
        return index.index_url
    command = ["pip", "compile", "-", "--emit-index-url", "--no-deps", "--no-config", "--quiet"]
    done = subprocess.run(
        [index_env.program(), *command],
        input="pip",
        env=environment_variables(index),
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"^--index-url (\S+)", done.stdout, re.MULTILINE)
    if not found:
        raise ValueError("uv names no index")
    return found[1]


def find_link(page: str, archive: str, base: str) -> str:
    """Return the URL of an archive in the page of its project (PEP 503)."""
    for link, name in _LINK.findall(page):
        if unescape(name) == archive:
            return urljoin(base, unescape(link)).partition("#")[0]
    raise ValueError(f"the index has no {archive}")


def _refuse_large(name: str, size: int) -> None:
    if size > MAX_ARCHIVE:
        raise ValueError(f"{name} is larger than {MAX_ARCHIVE // 10**6} MB")


def copy_members(archive: Path, members: Sequence[str], folder: Path) -> None:
    """Copy members of a wheel or an sdist to `folder`, under the last part of their names.

    Raises:
        ValueError: A member does not exist, is no file, or is too large.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if archive.suffix in {".whl", ".zip"}:
        with zipfile.ZipFile(archive) as wheel:
            for name in members:
                if name not in wheel.namelist():
                    raise ValueError(f"{archive.name} contains no {name}")
                with wheel.open(name) as file:
                    _copy(file, folder / Path(name).name)
        return
    with tarfile.open(archive) as sdist:
        for name in members:
            try:
                file = sdist.extractfile(name)
            except KeyError:
                file = None
            if file is None:
                raise ValueError(f"{archive.name} contains no {name}")
            _copy(file, folder / Path(name).name)


def _copy(file: IO[bytes], path: Path) -> None:
    content = file.read(MAX_MEMBER + 1)
    if len(content) > MAX_MEMBER:
        raise ValueError(f"{path.name} is larger than {MAX_MEMBER // 10**6} MB")
    path.write_bytes(content)
