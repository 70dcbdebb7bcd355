"""Package index settings as environment variables of uv and pip.

URLs may contain credentials, and all users of a machine see the arguments of processes.

Source: https://docs.astral.sh/uv/reference/environment/
"""

from __future__ import annotations

import os
from pathlib import Path

import uv

from modelpack.errors import EnvironmentNotResolvedError
from modelpack.types import IndexSettings


def program() -> str:
    """Return the path of the uv program, or raise EnvironmentNotResolvedError."""
    try:
        return uv.find_uv_bin()
    except FileNotFoundError as error:
        raise EnvironmentNotResolvedError(
            "The Python package uv is installed, but its program is missing.",
            hint="Run: pip install --force-reinstall uv",
        ) from error


def index_environment(index: IndexSettings) -> dict[str, str]:
    """Return variable -> value for the given settings."""
    if index.wheelhouse:
        # As a URL, because uv splits the value at commas.
        links = Path(index.wheelhouse).as_uri()
        return {"UV_OFFLINE": "1", "UV_FIND_LINKS": links}  # --no-index has no variable
    settings = {
        "UV_DEFAULT_INDEX": index.index_url,
        "UV_INDEX": " ".join(index.extra_index_urls),
        "UV_INSECURE_HOST": " ".join(index.trusted_hosts),
        "SSL_CERT_FILE": index.ca_bundle,
        "NETRC": index.netrc,
        **proxies(index),
    }
    return {name: value for name, value in settings.items() if value}


def proxies(index: IndexSettings) -> dict[str, str]:
    """Return the proxy variables for the proxy of pip or uv that are not set already."""
    names = ("HTTP_PROXY", "HTTPS_PROXY") if index.proxy else ()
    unset = (name for name in names if not (os.environ.get(name) or os.environ.get(name.lower())))
    return dict.fromkeys(unset, index.proxy or "")
