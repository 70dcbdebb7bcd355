"""Index credentials for builds, kept out of images and process lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from modelpack import index_env
from modelpack.oci.reference import is_loopback
from modelpack.types import IndexSettings

_PIP_CONF = "MODELPACK_PIP_CONF"
_OFFLINE = "[global]\nno-index = true\nfind-links = /wheelhouse\n"
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")


def for_build(index: IndexSettings, environ: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """Return options of `docker buildx build`, and the environment they refer to."""
    if index.wheelhouse:
        options = ["--network=none", f"--build-context=wheelhouse={index.wheelhouse}"]
        options.append(f"--secret=id=pip_conf,env={_PIP_CONF}")
        return options, {**environ, _PIP_CONF: _OFFLINE}
    environ = {**environ, **index_env.proxies(index)}
    options = [f"--secret=id=pip_conf,env={_PIP_CONF}"]
    options += [f"--secret=id={name},src={path}" for name, path in _files(index)]
    # Names only: buildx takes the values, which may contain passwords, from its environment.
    # Predefined arguments enter neither the image nor its history.
    options += [f"--build-arg={name}" for name in environ if name.upper() in _PROXIES]
    if _uses_loopback(index, environ):
        options.append("--network=host")
    return options, {**environ, _PIP_CONF: pip_conf(index)}


def _uses_loopback(index: IndexSettings, environ: Mapping[str, str]) -> bool:
    """Return whether an index or a proxy is on the loopback, which the network of a build lacks."""
    proxies = (environ[name] for name in environ if name.upper() in {*_PROXIES} - {"NO_PROXY"})
    urls = filter(None, (index.index_url, *index.extra_index_urls, *proxies))
    parts = (urlsplit(url if "://" in url else f"//{url}") for url in urls)
    return any(is_loopback(each.netloc.rpartition("@")[2].lower()) for each in parts)


def for_uv(index: IndexSettings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for uv: the index, without the configuration of uv."""
    kept = {k: v for k, v in environ.items() if not k.startswith(("UV_", "PIP_", "VIRTUAL_ENV"))}
    kept |= {k: environ[k] for k in ("UV_CACHE_DIR", "UV_PYTHON_INSTALL_DIR") if k in environ}
    return {**kept, "UV_NO_CONFIG": "1", **index_env.index_environment(index)}


def pip_conf(index: IndexSettings) -> str:
    settings = {
        "index-url": index.index_url or "",
        "extra-index-url": " ".join(index.extra_index_urls),
        "trusted-host": " ".join(index.trusted_hosts),
    }
    lines = [f"{name} = {_literal(value)}" for name, value in settings.items() if value]
    return "\n".join(["[global]", *lines, ""])


def _literal(value: str) -> str:
    """Write a value on one line for RawConfigParser, which has no escapes."""
    return " ".join(value.split())


def _files(index: IndexSettings) -> Iterator[tuple[str, str]]:
    if index.ca_bundle:
        yield "ca", index.ca_bundle
    if index.netrc:
        yield "netrc", index.netrc
