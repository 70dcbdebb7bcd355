"""Index settings as uv reads them from its environment.

Variables, since everyone on the machine sees the arguments of a process, and the URLs may hold
credentials. Source: https://docs.astral.sh/uv/reference/environment/
"""

from __future__ import annotations

from modelpack.spec import IndexSettings


def of(index: IndexSettings) -> dict[str, str]:
    """Variable -> value, of the settings that are there."""
    settings = {
        "UV_DEFAULT_INDEX": index.index_url,
        "UV_INDEX": " ".join(index.extra_index_urls),
        "UV_INSECURE_HOST": " ".join(index.trusted_hosts),
        "SSL_CERT_FILE": index.ca_bundle,
        "NETRC": index.netrc,
    }
    return {name: value for name, value in settings.items() if value}
