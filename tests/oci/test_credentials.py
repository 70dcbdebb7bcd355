"""Credentials stored by `docker login`, `podman login` and credential helpers."""

from __future__ import annotations

import base64
import json
import stat

import pytest

from modelpack.errors import UsageError
from modelpack.oci.registry.auth import Credentials, find

HELPER = """\
#!/bin/sh
[ "$1" = get ] && read -r host
case "$host" in
    helped.test) echo '{"Username": "helped", "Secret": "s3cret"}' ;;
    token.test) echo '{"Username": "<token>", "Secret": "t0ken"}' ;;
    strange.test) echo 'hello' ;;
    *) echo 'credentials not found in native keychain'; exit 1 ;;
esac
"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    for name in ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    helper = tmp_path / "bin" / "docker-credential-test"
    helper.parent.mkdir()
    helper.write_text(HELPER)
    helper.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(helper.parent), prepend=":")
    return tmp_path


def encoded(user: str, password: str) -> dict:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def docker(home, **config) -> None:
    (home / ".docker").mkdir(exist_ok=True)
    (home / ".docker" / "config.json").write_text(json.dumps(config))


def test_no_credentials_without_a_login():
    assert find("a.test") is None


def test_a_password_with_a_colon(home):
    docker(home, auths={"a.test:5000": encoded("me", "pass:wörd")})
    assert find("a.test:5000") == Credentials("me", "pass:wörd")
    assert find("a.test") is None


@pytest.mark.parametrize("key", ["https://a.test", "http://a.test/v1/", "https://a.test/v2/"])
def test_keys_that_are_addresses(home, key):
    docker(home, auths={key: encoded("me", "it")})
    assert find("a.test") == Credentials("me", "it")


def test_the_hub_has_a_key_of_its_own(home):
    docker(home, auths={"https://index.docker.io/v1/": encoded("me", "it")})
    assert find("docker.io") == Credentials("me", "it")


def test_identity_tokens_and_plain_entries(home):
    docker(
        home,
        auths={
            "a.test": {**encoded("me", ""), "identitytoken": "t0ken"},
            "b.test": {"username": "me", "password": "it"},
            "c.test": {},
        },
    )
    assert find("a.test") == Credentials(token="t0ken")
    assert find("b.test") == Credentials("me", "it")
    assert find("c.test") is None


def test_helpers_precede_files(home):
    helpers = {"helped.test": "test", "gone.test": "not-there", "bad.test": "../bin/x"}
    auths = {host: encoded("me", "it") for host in ("other.test", "gone.test", "bad.test")}
    docker(home, credsStore="test", credHelpers=helpers, auths=auths)
    assert find("helped.test") == Credentials("helped", "s3cret")
    assert find("token.test") == Credentials(token="t0ken")
    for host in auths:
        assert find(host) == Credentials("me", "it")
    with pytest.raises(UsageError, match="docker-credential-test returns no valid"):
        find("strange.test")


def test_podmans_files(home, monkeypatch):
    docker(home, auths={"a.test": encoded("docker", "1"), "b.test": encoded("docker", "1")})
    (home / "named.json").write_text(json.dumps({"auths": {"a.test": encoded("named", "2")}}))
    (home / "containers").mkdir()
    runtime = {"auths": {"a.test": encoded("x", "x"), "c.test": encoded("podman", "3")}}
    (home / "containers" / "auth.json").write_text(json.dumps(runtime))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(home / "named.json"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home))
    assert [find(f"{name}.test").user for name in "abc"] == ["named", "docker", "podman"]


def test_podmans_entries_for_a_part_of_a_registry(home):
    entries = {"a.test": "host", "a.test/team": "team", "a.test/team/it": "it", "b.test/team": "b"}
    docker(home, auths={key: encoded(user, "1") for key, user in entries.items()})
    repositories = [
        ("a.test", "team/it"),
        ("a.test", "team/x"),
        ("a.test", "teams"),
        ("a.test", ""),
    ]
    assert [find(*it).user for it in repositories] == ["it", "team", "host", "host"]
    assert find("b.test", "x") is None


def test_docker_config_folder_is_used(home, monkeypatch):
    (home / "elsewhere").mkdir()
    config = {"auths": {"a.test": encoded("me", "it")}}
    (home / "elsewhere" / "config.json").write_text(json.dumps(config))
    monkeypatch.setenv("DOCKER_CONFIG", str(home / "elsewhere"))
    assert find("a.test") == Credentials("me", "it")


@pytest.mark.parametrize("text", ["{", '{"auths": {"a.test": {"auth": "%%%"}}}', "\udcff"])
def test_unreadable_file_is_reported(home, text):
    (home / ".docker").mkdir()
    (home / ".docker" / "config.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UsageError, match=r"config\.json cannot be read"):
        find("a.test")


@pytest.mark.parametrize(
    "config", [[], {"auths": []}, {"auths": {"a.test": 1}}, {"credHelpers": 1}]
)
def test_file_in_another_format_has_no_credentials(home, config):
    (home / ".docker").mkdir()
    (home / ".docker" / "config.json").write_text(json.dumps(config))
    assert find("a.test") is None


def test_secrets_are_not_shown():
    assert repr(Credentials("me", "s3cret", "t0ken")) == "Credentials(user='me')"
