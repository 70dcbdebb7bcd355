from __future__ import annotations

from configparser import RawConfigParser

import pytest

from modelpack.engines import credentials
from modelpack.spec import IndexSettings

INDEX = IndexSettings(
    index_url="https://user:p%40ss;word@index.test/simple",
    extra_index_urls=("https://a.test/simple", "https://b.test/simple"),
    trusted_hosts=("a.test",),
    ca_bundle="/etc/ca.pem",
    netrc="/home/me/.netrc",
)


def read(index: IndexSettings) -> dict[str, str]:
    parser = RawConfigParser()  # what pip reads it with
    parser.read_string(credentials.pip_conf(index))
    return dict(parser["global"])


def test_pip_reads_back_what_the_settings_say():
    assert read(INDEX) == {
        "index-url": "https://user:p%40ss;word@index.test/simple",
        "extra-index-url": "https://a.test/simple https://b.test/simple",
        "trusted-host": "a.test",
    }


def test_without_settings_pip_keeps_its_own():
    assert read(IndexSettings()) == {}


def test_a_line_break_makes_no_second_setting():
    assert list(read(IndexSettings(index_url="https://a.test\nproxy = b.test"))) == ["index-url"]


def test_nothing_secret_stands_on_the_command_line():
    proxy = "http://me:canary@proxy.test"
    options, environ = credentials.for_build(INDEX, {"https_proxy": proxy, "PATH": "/bin"})
    assert not [option for option in options if "p%40ss" in option or "canary" in option]
    assert "--build-arg=https_proxy" in options
    assert environ["https_proxy"] == proxy
    assert "--secret=id=ca,src=/etc/ca.pem" in options


def test_uv_gets_these_settings_and_no_others():
    environ = {"UV_INDEX": "https://other.test", "PIP_INDEX_URL": "x", "UV_CACHE_DIR": "/c"}
    assert credentials.for_uv(INDEX, environ) == {
        "UV_CACHE_DIR": "/c",
        "UV_NO_CONFIG": "1",
        "UV_DEFAULT_INDEX": INDEX.index_url,
        "UV_INDEX": "https://a.test/simple https://b.test/simple",
        "UV_INSECURE_HOST": "a.test",
        "SSL_CERT_FILE": "/etc/ca.pem",
        "NETRC": "/home/me/.netrc",
    }


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "NETRC"])
def test_without_a_setting_uv_keeps_the_users_own(name):
    assert credentials.for_uv(IndexSettings(), {name: "/mine"})[name] == "/mine"
