"""Each rule lets a good image by, and finds what was spoilt: and no other rule does."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import hardened_images as hard
import pytest
from hardened_images import (
    SITE,
    File,
    add_file,
    add_history,
    change_file,
    folder,
    link,
    program,
    set_config,
    set_label,
)

from modelpack import hardening
from modelpack.errors import UsageError
from modelpack.hardening import rules, secrets, subject
from modelpack.hardening.secrets import KnownSecret, known_secrets
from modelpack.types import IndexSettings

SPOILT = {
    "user": [
        *(
            set_config("User", user)
            for user in ("", "root", "0", "0:0", "nobody", "1000:0", "65532:")
        ),
    ],
    "any user": [
        add_file("app/app.py", File(mode=0o640)),
        add_file("app/code", folder(0o750)),
        add_file("usr/bin/tool", program(mode=0o744)),
        change_file(1, "app", mode=0o711),
    ],
    "set-user-ID": [
        add_file("usr/bin/tool", program(mode=0o4755)),
        add_file("usr/bin/tool", program(mode=0o2755)),
        add_file("usr/bin/tool", program(pax={"SCHILY.xattr.security.capability": "\x01"})),
        lambda image: image.base.update({"bin/su": program(mode=0o4755)}),
    ],
    "writable": [
        add_file("app/app.py", File(mode=0o666)),
        add_file("srv", folder(0o777)),
        add_file("srv", folder(0o1777)),
        add_file("tmp", folder(0o777)),
        lambda image: image.base.update({"srv": folder(0o777)}),
    ],
    "owners": [
        add_file("app/app.py", File(uid=1000)),
        add_file("app/app.py", File(gid=1000)),
        lambda image: image.base.update({"srv": folder(uid=65532)}),
    ],
    "devices": [
        add_file("srv/null", File(kind=b"3")),
        add_file("srv/queue", File(kind=b"6")),
    ],
    "tools": [
        add_file("usr/bin/bash", program()),
        add_file("opt/tools/gcc", program()),
        add_file("usr/local/bin/pip3.11", program(b"#!")),
        add_file("usr/sbin/sh", link("/bin/busybox")),
        add_file("usr/bin/x86_64-linux-gnu-gcc-14", program()),
        add_file("usr/bin/curl", program()),
        add_file("usr/lib/harmless", program(b"\x7fELF shell")),
        add_file("bin/sh", program(b"\x7fELF another")),
    ],
    "leftovers": [
        add_file("root/.bash_history", File()),
        add_file("tmp/x", File()),
        add_file("var/lib/apt/lists/x", File()),
        add_file("var/cache/apt/pkgcache.bin", File()),
        add_file("app/.cache/pip/http/x", File()),
        add_file("srv/shop-1.0-py3-none-any.whl", File()),
        add_file("app/.ipynb_checkpoints/x", File()),
    ],
    "base": [
        set_label("org.opencontainers.image.base.digest", None),
        set_label("org.opencontainers.image.base.digest", "latest"),
    ],
    "distributions": [
        change_file(1, "app/requirements.lock", data=b"shop==1.1 \\\n --hash=sha256:00\n"),
        change_file(1, "app/requirements.lock", data=b"shop==1.0\nother==2\n"),
        change_file(1, "app/requirements.lock", data=b""),
        change_file(0, f"{SITE}/shop.py", data=b"import os\n"),
        add_file(f"{SITE}/shop.py", File(b"import os\n")),
        add_file(f"{SITE}/.wh.shop-1.0.dist-info", File()),
        add_file(f"{SITE}/extra.py", File()),
        add_file(f"{SITE}/extra.pth", File(b"import extra\n")),
        add_file("opt/venv/bin/tool", program()),
    ],
    "byte code": [
        add_file("app/__pycache__/app.cpython-311.pyc", File(hard.BYTE_CODE)),
        add_file("app/app.pyc", File(hard.BYTE_CODE)),
        change_file(0, f"{SITE}/__pycache__/shop.cpython-311.pyc", data=bytes(16)),
    ],
    "model": [
        add_file("app/model/model.pkl", File(b"another one", 0o444)),
        add_file("app/model/.wh.model.pkl", File()),
        add_file("app/model/model.pkl", link("/srv/other")),
        add_file("app/model/model.pkl", File(hard.MODEL, 0o644)),
        add_file("app/model/artifacts/weights", File(b"another one", 0o444)),
        add_file("app/model/artifacts/.wh.weights", File()),
        change_file(1, "app/model/artifacts/weights", mode=0o644),
        change_file(1, "app/model", mode=0o775),
        change_file(1, "app/modelpack.json", mode=0o644),
        set_label("dev.modelpack.model.sha256", "0" * 64),
    ],
    "secrets": [
        add_file("app/.netrc", File()),
        add_file("app/.env", File()),
        add_file("srv/.git/config", File()),
        add_file("srv/id_ed25519", File()),
        add_file("srv/.docker/config.json", File()),
        add_file("app/notes.txt", File(hard.PRIVATE_KEY)),
        add_file("app/notes.txt", File(f"key = {hard.SECRET}".encode())),
        add_file("app/notes.txt", File(bytes(2**20 - 8) + hard.SECRET.encode())),
        add_file("app/notes.txt", File(b"see https://me:hush@example.com/x")),
        hard.add_variable(f"KEY={hard.SECRET}"),
        set_label("org.example.note", "https://me:hush@example.com"),
        add_history(f"RUN login {hard.SECRET} # buildkit"),
        # Below another layer, and in a file that was removed again.
        lambda image: (
            image.layers[0].update({"srv/.netrc": File(), "srv/note": File()})
            or image.top.update({"srv/.wh..netrc": File()})
        ),
    ],
    "entrypoint": [
        set_config("Entrypoint", ["/bin/sh", "-c", "python -m modelpack.serving"]),
        set_config("Entrypoint", None),
        set_config("Cmd", ["bash"]),
        set_config("Shell", ["/bin/bash", "-c"]),
    ],
    "environment": [
        hard.add_variable("LD_PRELOAD=/tmp/x.so"),
        hard.add_variable("PYTHONPATH=/tmp"),
        hard.add_variable("https_proxy=http://proxy.test"),
        set_config("Env", ["PATH=/opt/venv/bin:"]),
        set_config("Env", ["PATH=/opt/venv/bin:/tmp"]),
    ],
    "healthcheck": [
        set_config("Healthcheck", None),
        set_config("Healthcheck", {"Test": ["NONE"]}),
        set_config("Healthcheck", {"Test": ["CMD-SHELL", "python -m modelpack.serving.health"]}),
    ],
    "stop signal": [set_config("StopSignal", None), set_config("StopSignal", "SIGKILL")],
    "ports": [
        set_config("ExposedPorts", {}),
        set_config("ExposedPorts", {"8080/tcp": {}, "22/tcp": {}}),
        set_config("ExposedPorts", {"8080/tcp": {}, "8081/tcp": {}}),  # without gRPC
    ],
    "volumes": [set_config("Volumes", {"/data": {}})],
    "instructions": [
        add_history("ADD https://example.com/x /x # buildkit"),
        add_history("RUN /bin/sh -c curl -s https://example.com/x > /x"),
        add_history("RUN /bin/sh -c apt-get update # buildkit"),
        add_history("RUN /bin/sh -c apt-get -y upgrade # buildkit"),
        add_history("RUN /bin/sh -c pip install numpy # buildkit"),
    ],
    "labels": [
        set_label("dev.modelpack.framework", None),
        set_label("dev.modelpack.framework", "\x1b[31mred"),
        set_label("dev.modelpack.framework", "right\u202eleft"),
        set_label("dev.modelpack.framework", "a\nb"),
        set_label("dev.modelpack.framework", "x" * 5000),
        set_label("dev.modelpack.sbom.sha256", "0" * 64),
    ],
    "times": [
        add_file("app/app.py", File(mtime=hard.TIME + 1)),
        lambda image: image.config.update(created=""),
    ],
}
CASES = [
    pytest.param(rule, spoil, id=f"{rule}-{number}")
    for rule, spoils in SPOILT.items()
    for number, spoil in enumerate(spoils)
]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def broken(
    image: hard.ImageContents, secrets: tuple[KnownSecret, ...] = ()
) -> dict[str, list[str]]:
    """Rule -> where it is broken."""
    found = hardening.scan(image.image, secrets)
    return {r.rule: [each.where for each in r.violations] for r in found if not r.passed}


def test_a_good_image_breaks_no_rule():
    assert broken(hard.hardened_image()) == {}


@pytest.mark.parametrize(("rule", "spoil"), CASES)
def test_each_violation_is_found(rule, spoil):
    image = hard.hardened_image()
    spoil(image)
    assert set(broken(image)) == {rule}


def test_every_rule_has_a_case_a_docstring_and_sources():
    assert {rule.name for rule in rules.RULES} == {*SPOILT, "build secrets"}
    for rule in rules.RULES:
        assert rule.violations.__doc__
        assert all(source.startswith(("CIS ", "NIST ")) for source in rule.sources)


def test_the_document_has_a_line_a_rule():
    root = Path(__file__).parents[2]
    document = (root / "docs" / "security.md").read_text()
    table = document.partition("<!-- rules -->\n")[2].partition("<!-- /rules -->")[0]
    documented = [[cell.strip() for cell in row.split("|")[1:3]] for row in table.splitlines()[2:]]
    assert documented == [[rule.name, ", ".join(rule.sources)] for rule in rules.RULES]
    assert f"[{len(rules.RULES)} rules of the CIS" in (root / "README.md").read_text()


def test_all_files_follow_the_rules_of_our_layers_without_a_history():
    image = hard.hardened_image()
    image.config["history"] = []
    assert broken(image)["tools"] == ["bin/sh", "usr/bin/apt"]


def test_layer_cannot_be_inserted_below_the_base_mark():
    """A second mark is not taken as proof: anybody can write it."""
    image = hard.hardened_image()
    image.top["usr/bin/bash"] = program()
    image.config["history"].insert(
        -1, {"created_by": "LABEL dev.modelpack.version=9", "empty_layer": True}
    )
    assert set(broken(image)) == {"tools"}


def test_image_not_built_by_modelpack_is_reported():
    image = hard.hardened_image()
    del image.layers[1]["app/modelpack.json"]
    with pytest.raises(UsageError, match="was not created by modelpack"):
        hardening.scan(image.image)


def test_a_layer_is_read_once(monkeypatch):
    hardened = hard.hardened_image()
    first = broken(hardened)
    image = hardened.image

    def unread():
        raise AssertionError("a layer was read again")

    layers = [type(layer)(layer.diff_id, unread) for layer in image.layers]
    again = hardening.scan(type(image)(image.config, tuple(layers)))
    assert {r.rule for r in again if not r.passed} == set(first)


def test_rulings_are_kept_for_the_same_configuration_and_layers(monkeypatch):
    hardened = hard.hardened_image()
    first = hardening.scan(hardened.image)
    monkeypatch.setattr(subject, "read_image", lambda *_: pytest.fail("the image was judged again"))
    assert hardening.scan(hardened.image) == first
    monkeypatch.undo()
    hardened.config["config"]["User"] = "0"
    assert "user" in broken(hardened)
    hardened.top["usr/bin/bash"] = program()
    assert set(broken(hardened)) == {"user", "tools"}


# --- secrets that the build was given ------------------------------------------------------------

SECRET = "hush-7c1f-hush"
INDEX = IndexSettings(index_url=f"https://me:{SECRET}@index.test/simple")
BASIC = base64.b64encode(f"me:{SECRET}".encode())


@pytest.mark.parametrize(
    "spoil",
    [
        add_file("app/notes", File(b"x" * 9000 + SECRET.encode())),
        add_file("app/notes", File(bytes(2**22 - 4) + SECRET.encode())),
        add_file("app/notes", File(b"Authorization: Basic " + BASIC)),
        add_file(f"app/{SECRET}", File()),
        add_file("app/link", link(SECRET)),
        hard.add_variable(f"TOKEN={SECRET}"),
        set_label("note", SECRET),
        add_history(f"RUN login {SECRET}"),
        lambda image: (
            image.layers[0].update({"srv/x": File(SECRET.encode())})
            or image.top.update({"srv/.wh.x": File()})
        ),
    ],
)
def test_build_secret_is_found_in_every_location(spoil):
    image = hard.hardened_image()
    secrets = known_secrets(INDEX, {})
    assert broken(image, secrets) == {}
    spoil(image)
    for _ in range(2):  # the second time from the cache
        assert set(broken(image, secrets)) == {"build secrets"}


def test_secret_that_becomes_known_later_is_found():
    image = hard.hardened_image()
    image.top["app/notes"] = File(SECRET.encode())
    assert broken(image) == {}
    assert set(broken(image, known_secrets(INDEX, {}))) == {"build secrets"}
    assert broken(image) == {}


@pytest.mark.parametrize("before", [0, 1, len(SECRET) - 1, len(SECRET)])
def test_a_secret_across_two_chunks_is_found(before):
    secret = KnownSecret("it", SECRET.encode())
    for start in (2**22, 2**23):
        stream = io.BytesIO(bytes(start - before) + secret.content + b"x")
        assert secrets._secrets_in_stream(stream, [secret]) == {secret}


def test_cache_contains_no_secret(tmp_path):
    image = hard.hardened_image()
    image.top["app/notes"] = File(SECRET.encode())
    broken(image, known_secrets(INDEX, {}))
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(kept) > 3
    assert not [content for content in kept if SECRET.encode() in content or BASIC in content]


def test_secret_that_a_wheel_contains_is_not_a_leak():
    secrets = known_secrets(IndexSettings(index_url="https://me:example@index.test/simple"), {})
    assert broken(hard.hardened_image(), secrets) == {}


def test_all_secrets_of_a_build_are_searched(tmp_path):
    (tmp_path / "netrc").write_text("machine a.test login me password from-netrc\n")
    (tmp_path / "ca.pem").write_text("of the company\n" * 9)
    index = IndexSettings(
        index_url="https://only-a-token@index.test/simple",
        extra_index_urls=("https://me:p%40ss-word@b.test",),
        proxy="proxy.test:3128",
        netrc=str(tmp_path / "netrc"),
        ca_bundle=str(tmp_path / "ca.pem"),
    )
    found = known_secrets(
        index, {"https_proxy": "http://me:of-the-proxy@proxy.test", "PATH": "/bin"}
    )
    contents = {needle.content for needle in found}
    assert {
        b"only-a-token",
        b"p%40ss-word",
        b"p@ss-word",
        b"from-netrc",
        b"of-the-proxy",
    } < contents
    assert {needle.content for needle in found if needle.is_file} == {
        (tmp_path / "netrc").read_bytes(),
        (tmp_path / "ca.pem").read_bytes(),
    }
    image = hard.hardened_image()
    image.top["srv/authorities"] = File((tmp_path / "ca.pem").read_bytes())
    assert broken(image, found) == {"build secrets": ["srv/authorities"]}


def test_common_word_as_password_is_searched_with_its_user_only():
    found = known_secrets(IndexSettings(index_url="https://me:password@index.test"), {})
    assert {needle.content for needle in found} == {
        b"me:password@",
        base64.b64encode(b"me:password"),
    }


# --- what secrets look like ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN OPENSSH PRIVATE KEY-----\n" + "b" * 70,
        "ASIA" + "ABCDEFGH23456777",
        "ghp_" + "a1" * 18,
        "github_pat_" + "a" * 22 + "_" + "b" * 59,
        "glpat-" + "x" * 20,
        "xoxb-123456789012-abcdefghijklmnopqr",
        "AIza" + "x" * 35,
        '{"type": "service_account"}',
        "pypi-AgEI" + "x" * 60,
        "hf_" + "a" * 34,
        "sk_live_" + "1" * 24,
        "https://__token__:abc123@index.example.com/simple",
    ],
)
def test_text_like_a_secret_is_found(text):
    assert list(secrets.secret_patterns(f'x = "{text}"'.encode()))


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN CERTIFICATE-----\n" + "b" * 70,
        "AKIAIOSFODNN7",
        "the password of https://user:${PASSWORD}@host.test",
        "https://<user>:<password>@host.test",
        "https://***:***@host.test",
        "http://localhost:8080/@x.y",
        "xox and AIza and ghp_short",
    ],
)
def test_mention_of_a_secret_is_not_reported(text):
    assert not list(secrets.secret_patterns(text.encode()))
