"""`doctor`: what this machine can build and run with.

Each examination is a function that returns a `Finding`; `EXAMINATIONS` is their order.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from dataclasses import dataclass
from urllib.parse import urlsplit

from modelpack import cache, environment, index_env
from modelpack._version import __version__
from modelpack.engines import interpreters
from modelpack.engines.docker import base_images, connection
from modelpack.engines.podman import service
from modelpack.errors import ModelpackError, NoEngineError
from modelpack.types import IndexSettings

PYTHONS = tuple(f"3.{minor}" for minor in range(7, 15))


@dataclass(frozen=True)
class Finding:
    """The result of an examination. `hint` is how to install or repair what was examined."""

    name: str
    present: bool
    detail: str
    hint: str = ""


def examine() -> list[Finding]:
    """Run all examinations."""
    return [examination() for examination in EXAMINATIONS]


def _modelpack() -> Finding:
    return Finding("modelpack", True, __version__)


def _uv() -> Finding:
    try:
        return Finding("uv", True, _first_line(index_env.program(), "--version"))
    except ModelpackError as error:
        return Finding("uv", False, error.message, error.hint)


def _docker() -> Finding:
    try:
        client = connection.connect()
    except NoEngineError as error:
        return Finding("docker", False, error.message, error.hint)
    try:
        version = client.version()
    finally:
        client.close()
    return Finding("docker", True, f"{version['Version']}, {version['Os']}/{version['Arch']}")


def _podman() -> Finding:
    # `podman info` would create the storage of the user.
    version = _first_line("podman", "--version")
    if not version:
        hint = "Needed only without Docker: apt-get install podman"
        return Finding("podman", False, "not installed", hint)
    limits = service.overrides() or service.podman_variables(os.environ).get("NETAVARK_FW")
    detail = f"{version}, with settings for this machine" if limits else version
    return Finding("podman", True, detail)


def _buildx() -> Finding:
    version = _first_line("docker", "buildx", "version")
    return Finding(
        "buildx",
        bool(version),
        version or "`docker buildx` does not respond",
        "Install Docker's buildx plugin; on Debian and Ubuntu: apt-get install docker-buildx",
    )


def _base_images() -> Finding:
    try:
        names = base_images.available()
    except NoEngineError:
        return Finding("base images", False, "Docker is not running", "Start Docker first.")
    return Finding(
        "base images",
        bool(names),
        ", ".join(names) or "none; builds pull the official ones if a registry is reachable",
        "Without a registry: modelpack base build --python X.Y",
    )


def _interpreters() -> Finding:
    versions = [version for version in PYTHONS if interpreters.find(version)]
    return Finding(
        "interpreters",
        bool(versions),
        ", ".join(versions) or "none",
        "Only `serve` and `base build` need one: uv python install X.Y",
    )


def _mmdebstrap() -> Finding:
    path = shutil.which("mmdebstrap")
    return Finding(
        "mmdebstrap",
        path is not None,
        path or "not installed",
        "Only `base build` needs it: apt-get install mmdebstrap",
    )


def _index() -> Finding:
    try:
        settings = environment.index_settings()
        environment.require_index(settings)
    except ModelpackError as error:
        return Finding("package index", False, error.message, error.hint)
    url = settings.index_url or "the public index"
    return Finding("package index", True, environment.redacted(url))


def _certificates() -> Finding:
    try:
        bundle = environment.index_settings().ca_bundle
    except ModelpackError as error:
        return Finding("CA bundle", False, error.message, error.hint)
    return Finding("CA bundle", True, bundle or "the defaults of uv and pip")


def _proxy() -> Finding:
    try:
        proxies = _proxies(environment.index_settings())
    except ModelpackError as error:
        return Finding("proxy", False, error.message, error.hint)
    silent = [url for url in proxies if not _responds(url)]
    detail = ", ".join(map(environment.redacted, silent or proxies))
    return Finding(
        "proxy",
        not silent,
        f"{detail} does not respond" if silent else detail or "none",
        "Start the proxy, or set HTTPS_PROXY to another one.",
    )


def _proxies(index: IndexSettings) -> list[str]:
    """Return the proxies that uv and pip use, without duplicates."""
    names = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
    values = (os.environ.get(name.lower()) or os.environ.get(name) for name in names)
    return list(dict.fromkeys([*filter(None, values), *index_env.proxies(index).values()]))


def _responds(proxy: str) -> bool:
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname or "", port), timeout=5).close()
    except (OSError, ValueError):
        return False
    return True


def _credentials() -> Finding:
    """List the credentials of the index. `_index` checks them."""
    try:
        settings = environment.index_settings()
    except ModelpackError as error:
        return Finding("credentials", False, error.message, error.hint)
    urls = filter(None, (settings.index_url, *settings.extra_index_urls))
    locations = [f"in {environment.redacted(url)}" for url in urls if "@" in urlsplit(url).netloc]
    locations += [f"in {settings.netrc}"] if settings.netrc else []
    return Finding("credentials", True, ", ".join(locations) or "none")


def _unsupported() -> Finding:
    try:
        problems = environment.unsupported_settings()
    except ModelpackError as error:
        return Finding("settings", False, error.message, error.hint)
    return Finding(
        "settings",
        not problems,
        " ".join(problems) or "all used, except find-links and constraints",
    )


def _cache() -> Finding:
    sizes = {name: cache.size_of(cache.root() / name) / 1e6 for name in cache.LIMITS}
    largest = sorted(sizes, key=sizes.__getitem__, reverse=True)
    parts = [f"{name} {sizes[name]:,.0f} MB" for name in largest if sizes[name] >= 1]
    detail = f"{cache.root()}, {sum(sizes.values()):,.0f} MB"
    return Finding("cache", True, f"{detail}: {', '.join(parts)}" if parts else detail)


def _first_line(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.partition("\n")[0].strip()


EXAMINATIONS = (
    _modelpack,
    _uv,
    _docker,
    _buildx,
    _podman,
    _base_images,
    _interpreters,
    _mmdebstrap,
    _index,
    _certificates,
    _proxy,
    _credentials,
    _unsupported,
    _cache,
)
