from __future__ import annotations

import os
import sys
from pathlib import Path

import certifi
import pytest

from modelpack.environment import (
    index_settings,
    pip_config,
    redacted,
    unsupported_settings,
    uv_config,
)
from modelpack.errors import UsageError
from modelpack.types import IndexSettings

CA = certifi.where()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """Remove every setting of this machine. Its configuration files are below `home`."""
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")) or name in {
            "NETRC",
            "REQUESTS_CA_BUNDLE",
            "SSL_CERT_FILE",
            "XDG_CONFIG_HOME",
        }:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "xdg"))
    monkeypatch.setattr(pip_config, "MACHINE", tmp_path / "etc" / "pip.conf")
    monkeypatch.setattr(uv_config, "MACHINE", tmp_path / "etc" / "uv.toml")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_public_index_is_the_default():
    assert index_settings() == IndexSettings()


def test_arguments_go_before_all_variables(monkeypatch):
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://uv.example/simple")
    monkeypatch.setenv("PIP_CERT", "/nowhere.pem")
    settings = index_settings(index_url="https://argument.example/simple", ca_cert=CA)
    assert settings.index_url == "https://argument.example/simple"
    assert settings.ca_bundle == CA


def test_each_source_goes_before_the_next(home, monkeypatch):
    def url() -> str | None:
        return index_settings().index_url

    write(home / "etc" / "uv.toml", 'index-url = "https://uv-machine.example"')
    assert url() == "https://uv-machine.example"
    write(home / "xdg" / "uv" / "uv.toml", 'index-url = "https://uv-system.example"')
    assert url() == "https://uv-system.example"
    write(home / ".config" / "uv" / "uv.toml", 'index-url = "https://uv-user.example"')
    assert url() == "https://uv-user.example"
    write(home / "xdg" / "pip" / "pip.conf", "[global]\nindex-url = https://pip-global.example")
    assert url() == "https://pip-global.example"
    write(home / "etc" / "pip.conf", "[global]\nindex-url = https://pip-machine.example")
    assert url() == "https://pip-machine.example"
    write(home / ".pip" / "pip.conf", "[global]\nindex-url = https://pip-legacy.example")
    assert url() == "https://pip-legacy.example"
    write(home / ".config" / "pip" / "pip.conf", "[global]\nindex_url = https://pip-user.example")
    assert url() == "https://pip-user.example"
    write(home / "venv" / "pip.conf", "[global]\nindex-url = https://pip-site.example")
    assert url() == "https://pip-site.example"
    named = write(home / "named.conf", "[global]\nindex-url = https://pip-named.example")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(named))
    assert url() == "https://pip-named.example"
    monkeypatch.setenv("PIP_INDEX_URL", "https://pip-variable.example")
    assert url() == "https://pip-variable.example"
    monkeypatch.setenv("UV_INDEX_URL", "https://uv-old.example")
    assert url() == "https://uv-old.example"
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://uv.example")
    assert url() == "https://uv.example"


def test_the_section_of_pip_install_goes_before_global(home):
    write(home / "venv" / "pip.conf", "[global]\nindex-url = https://global.example")
    write(home / ".pip" / "pip.conf", "[install]\nindex-url = https://install.example")
    assert index_settings().index_url == "https://install.example"


def test_pip_files_can_be_ignored(home, monkeypatch):
    write(home / ".pip" / "pip.conf", "malformed")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    assert index_settings() == IndexSettings()


def test_a_named_pip_file_keeps_the_users_out(home, monkeypatch):
    write(home / ".config" / "pip" / "pip.conf", "[global]\nindex-url = https://user.example")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(write(home / "named.conf", "[global]\n")))
    assert index_settings().index_url is None


def test_lists_of_pip_may_take_several_lines(home):
    write(
        home / ".pip" / "pip.conf",
        "[global]\n"
        "extra-index-url =\n  https://one.example/simple\n  https://two.example/simple\n"
        "trusted-host = one.example\n  two.example:8080\n",
    )
    settings = index_settings()
    assert settings.extra_index_urls == ("https://one.example/simple", "https://two.example/simple")
    assert settings.trusted_hosts == ("one.example", "two.example:8080")


def test_percent_signs_in_passwords_are_no_interpolation(home):
    write(home / ".pip" / "pip.conf", "[global]\nindex-url = https://me:a%40b@index.example/simple")
    assert index_settings().index_url == "https://me:a%40b@index.example/simple"


def test_uv_indexes_by_name_with_credentials_in_variables(home, monkeypatch):
    monkeypatch.setenv("UV_INDEX", "my-team=https://team.example/simple https://plain.example/?a=b")
    monkeypatch.setenv("UV_INDEX_MY_TEAM_USERNAME", "me")
    monkeypatch.setenv("UV_INDEX_MY_TEAM_PASSWORD", "a/b")
    assert index_settings().extra_index_urls == (
        "https://me:a%2Fb@team.example/simple",
        "https://plain.example/?a=b",
    )
    monkeypatch.setenv("UV_EXTRA_INDEX_URL", "https://more.example")
    assert index_settings().extra_index_urls[2] == "https://more.example"


def test_indexes_in_the_table_form_of_uv_toml(home):
    write(
        home / ".config" / "uv" / "uv.toml",
        'allow-insecure-host = ["team.example"]\n'
        '[[index]]\nname = "team"\nurl = "https://team.example/simple"\n'
        '[[index]]\nurl = "https://mirror.example/simple"\ndefault = true\n',
    )
    assert index_settings() == IndexSettings(
        index_url="https://mirror.example/simple",
        extra_index_urls=("https://team.example/simple",),
        trusted_hosts=("team.example",),
    )


def test_first_source_with_a_ca_bundle_wins(home, monkeypatch):
    bundles = [write(home / f"{name}.pem", Path(CA).read_text()) for name in "abcd"]
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundles[0]))
    assert index_settings().ca_bundle == str(bundles[0])
    monkeypatch.setenv("SSL_CERT_FILE", str(bundles[1]))
    assert index_settings().ca_bundle == str(bundles[1])
    write(home / ".pip" / "pip.conf", f"[global]\ncert = {bundles[2]}")
    assert index_settings().ca_bundle == str(bundles[2])
    monkeypatch.setenv("PIP_CERT", str(bundles[3]))
    assert index_settings().ca_bundle == str(bundles[3])


def test_the_netrc_file_is_named_only_where_there_is_one(home, monkeypatch):
    assert index_settings().netrc is None
    default = write(home / ".netrc", "")
    assert index_settings().netrc == str(default)
    monkeypatch.setenv("NETRC", str(write(home / "other", "")))
    assert index_settings().netrc == str(home / "other")


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_invalid_ca_bundle_is_reported_with_its_source(home, monkeypatch, content):
    path = home / "ca.pem"
    if content:
        path.write_text(content)
    monkeypatch.setenv("PIP_CERT", str(path))
    with pytest.raises(UsageError, match="set by pip's variables") as caught:
        index_settings()
    assert "--ca-cert" in caught.value.hint


@pytest.mark.parametrize(
    "url", ["/srv/wheels", "file:///srv/wheels", "--no-index", "index.example"]
)
def test_an_index_that_a_build_cannot_reach_is_refused(url):
    with pytest.raises(UsageError, match="not an http or https URL"):
        index_settings(index_url=url)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".pip/pip.conf", b"index-url = https://no-section.example"),
        (".pip/pip.conf", b"[global]\nindex-url = \xff"),
        (".config/uv/uv.toml", b"index-url = https://no-quotes.example"),
        (".config/uv/uv.toml", b'index-url = "\xff"'),
    ],
)
def test_a_file_that_cannot_be_read_is_named(home, name, content):
    path = home / name
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(UsageError, match=str(path)) as caught:
        index_settings()
    assert caught.value.hint


def test_find_links_and_constraints_are_left_out(home):
    write(home / ".pip" / "pip.conf", "[global]\nfind-links = /srv\nconstraint = /srv/c.txt")
    assert index_settings() == IndexSettings()


def test_redacted_hides_the_credentials_of_every_url():
    text = "https://me:p@ss@a.example/simple, then http://token@b.example (c@d.example)"
    assert redacted(text) == "https://***@a.example/simple, then http://***@b.example (c@d.example)"


def test_proxy_of_pip_precedes_that_of_uv(home):
    write(home / ".config" / "uv" / "uv.toml", 'https-proxy = "http://uv.example:3128"')
    assert index_settings().proxy == "http://uv.example:3128"
    write(home / ".pip" / "pip.conf", "[global]\nproxy = http://me:pw@pip.example:3128")
    assert index_settings().proxy == "http://me:pw@pip.example:3128"


def test_wheelhouse_replaces_every_setting(home, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example/simple")
    monkeypatch.setenv("PIP_CERT", "/nowhere.pem")
    settings = index_settings(wheelhouse=home / "wheels")
    assert settings == IndexSettings(wheelhouse=str(home / "wheels"))


def test_unsupported_setting_is_reported_with_its_source(home, monkeypatch):
    assert unsupported_settings() == []
    write(home / ".pip" / "pip.conf", "[install]\nno-index = true\n")
    monkeypatch.setenv("SSL_CLIENT_CERT", "/etc/me.pem")
    certificate, no_index = unsupported_settings()
    assert "client certificate set by uv's variables" in certificate
    assert "no-index in pip's configuration" in no_index
    assert "--offline" in no_index


def test_keyring_without_credentials_changes_nothing(home, monkeypatch):
    url = "https://me@index.example/simple"
    monkeypatch.setenv("UV_KEYRING_PROVIDER", "subprocess")
    monkeypatch.setenv("PATH", str(home))
    assert index_settings(index_url=url).index_url == url
