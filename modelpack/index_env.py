"""Package index settings as environment variables of uv and pip.

Variables, since everyone on the machine sees the arguments of a process, and the URLs may hold
credentials. Source: https://docs.astral.sh/uv/reference/environment/
"""

from __future__ import annotations

import os
from pathlib import Path

import uv

from modelpack.errors import EnvironmentNotResolvedError
from modelpack.types import IndexSettings


def program() -> str:
    """Return the path of the uv program.

    Raises:
        EnvironmentNotResolvedError: There is none.
    """
    try:
        return uv.find_uv_bin()
    except FileNotFoundError as error:
        raise EnvironmentNotResolvedError(
            "The Python package uv is installed, but its program is missing.",
            hint="Install it anew: pip install --force-reinstall uv",
        ) from error


def index_environment(index: IndexSettings) -> dict[str, str]:
    """Variable -> value, of the settings that are there."""
    if index.wheelhouse:
        # As a URL, since a comma in a path would end it.
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
    """The variables of the proxy that pip or uv is set to, as far as they are not set already."""
    names = ("HTTP_PROXY", "HTTPS_PROXY") if index.proxy else ()
    unset = (name for name in names if not (os.environ.get(name) or os.environ.get(name.lower())))
    return dict.fromkeys(unset, index.proxy or "")
