from __future__ import annotations

from configparser import RawConfigParser

import pytest

from modelpack.engines import index_secrets
from modelpack.types import IndexSettings

INDEX = IndexSettings(
    index_url="https://user:p%40ss;word@index.test/simple",
    extra_index_urls=("https://a.test/simple", "https://b.test/simple"),
    trusted_hosts=("a.test",),
    ca_bundle="/etc/ca.pem",
    netrc="/home/me/.netrc",
)


def read(index: IndexSettings) -> dict[str, str]:
    parser = RawConfigParser()  # what pip reads it with
    parser.read_string(index_secrets.pip_conf(index))
    return dict(parser["global"])


def test_pip_reads_back_the_settings():
    assert read(INDEX) == {
        "index-url": "https://user:p%40ss;word@index.test/simple",
        "extra-index-url": "https://a.test/simple https://b.test/simple",
        "trusted-host": "a.test",
    }


def test_pip_keeps_its_configuration_without_settings():
    assert read(IndexSettings()) == {}


def test_a_line_break_makes_no_second_setting():
    assert list(read(IndexSettings(index_url="https://a.test\nproxy = b.test"))) == ["index-url"]


def test_command_line_contains_no_secret():
    proxy = "http://me:canary@proxy.test"
    options, environ = index_secrets.for_build(INDEX, {"https_proxy": proxy, "PATH": "/bin"})
    assert not [option for option in options if "p%40ss" in option or "canary" in option]
    assert "--build-arg=https_proxy" in options
    assert environ["https_proxy"] == proxy
    assert "--secret=id=ca,src=/etc/ca.pem" in options


def test_uv_gets_these_settings_and_no_others():
    environ = {"UV_INDEX": "https://other.test", "PIP_INDEX_URL": "x", "UV_CACHE_DIR": "/c"}
    assert index_secrets.for_uv(INDEX, environ) == {
        "UV_CACHE_DIR": "/c",
        "UV_NO_CONFIG": "1",
        "UV_DEFAULT_INDEX": INDEX.index_url,
        "UV_INDEX": "https://a.test/simple https://b.test/simple",
        "UV_INSECURE_HOST": "a.test",
        "SSL_CERT_FILE": "/etc/ca.pem",
        "NETRC": "/home/me/.netrc",
    }


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "NETRC"])
def test_uv_keeps_the_users_configuration_without_a_setting(name):
    assert index_secrets.for_uv(IndexSettings(), {name: "/mine"})[name] == "/mine"


def test_build_with_a_wheelhouse_gets_no_index():
    environ = {"https_proxy": "http://me:canary@proxy.test", "PATH": "/bin"}
    options, variables = index_secrets.for_build(IndexSettings(wheelhouse="/srv/wheels"), environ)
    assert options == [
        "--network=none",
        "--build-context=wheelhouse=/srv/wheels",
        "--secret=id=pip_conf,env=MODELPACK_PIP_CONF",
    ]
    parser = RawConfigParser()
    parser.read_string(variables["MODELPACK_PIP_CONF"])
    assert dict(parser["global"]) == {"no-index": "true", "find-links": "/wheelhouse"}


@pytest.mark.parametrize(
    ("index", "proxy", "shared"),
    [
        ("https://localhost:8443/simple", "", True),
        ("https://127.0.0.1/simple", "", True),
        ("https://index.test/simple", "http://[::1]:3128", True),
        ("https://index.test/simple", "localhost:3128", True),
        ("https://index.test/simple", "http://proxy.test", False),
        (None, "", False),
    ],
)
def test_host_network_is_shared_only_for_an_index_on_the_loopback(index, proxy, shared):
    environ = {"HTTPS_PROXY": proxy, "NO_PROXY": "localhost"}
    options, _ = index_secrets.for_build(IndexSettings(index), environ)
    assert ("--network=host" in options) == shared


def test_the_proxy_of_the_settings_is_handed_over_by_name(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    index = IndexSettings(proxy="http://me:canary@proxy.test")
    options, variables = index_secrets.for_build(index, {})
    assert {"--build-arg=HTTP_PROXY", "--build-arg=HTTPS_PROXY"} <= set(options)
    assert variables["HTTPS_PROXY"] == index.proxy
    monkeypatch.setenv("https_proxy", "http://other.test")
    assert "HTTPS_PROXY" not in index_secrets.for_build(index, {})[1]


def test_uv_is_given_a_wheelhouse_and_no_index():
    index = IndexSettings("https://index.test", wheelhouse="/srv/our wheels")
    variables = index_secrets.for_uv(index, {})
    assert variables == {
        "UV_NO_CONFIG": "1",
        "UV_OFFLINE": "1",
        "UV_FIND_LINKS": "file:///srv/our%20wheels",
    }
