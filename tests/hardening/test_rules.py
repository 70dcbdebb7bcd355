"""Each rule lets a good image by, and finds what was spoilt: and no other rule does."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import hardened_images as hard
import pytest
from hardened_images import SITE, File, changes, folder, labels, link, program, puts, sets, tells

from modelpack import hardening
from modelpack.errors import UsageError
from modelpack.hardening import rules, secrets
from modelpack.hardening.secrets import KnownSecret, known_secrets
from modelpack.types import IndexSettings

SPOILT = {
    "user": [
        *(sets("User", user) for user in ("", "root", "0", "0:0", "nobody", "1000:0", "65532:")),
    ],
    "any user": [
        puts("app/app.py", File(mode=0o640)),
        puts("app/code", folder(0o750)),
        puts("usr/bin/tool", program(mode=0o744)),
        changes(1, "app", mode=0o711),
    ],
    "set-user-ID": [
        puts("usr/bin/tool", program(mode=0o4755)),
        puts("usr/bin/tool", program(mode=0o2755)),
        puts("usr/bin/tool", program(pax={"SCHILY.xattr.security.capability": "\x01"})),
        lambda made: made.base.update({"bin/su": program(mode=0o4755)}),
    ],
    "writable": [
        puts("app/app.py", File(mode=0o666)),
        puts("srv", folder(0o777)),
        puts("srv", folder(0o1777)),
        puts("tmp", folder(0o777)),
        lambda made: made.base.update({"srv": folder(0o777)}),
    ],
    "owners": [
        puts("app/app.py", File(uid=1000)),
        puts("app/app.py", File(gid=1000)),
        lambda made: made.base.update({"srv": folder(uid=65532)}),
    ],
    "devices": [
        puts("srv/null", File(kind=b"3")),
        puts("srv/queue", File(kind=b"6")),
    ],
    "tools": [
        puts("usr/bin/bash", program()),
        puts("opt/tools/gcc", program()),
        puts("usr/local/bin/pip3.11", program(b"#!")),
        puts("usr/sbin/sh", link("/bin/busybox")),
        puts("usr/bin/x86_64-linux-gnu-gcc-14", program()),
        puts("usr/bin/curl", program()),
        puts("usr/lib/harmless", program(b"\x7fELF shell")),
        puts("bin/sh", program(b"\x7fELF another")),
    ],
    "leftovers": [
        puts("root/.bash_history", File()),
        puts("tmp/x", File()),
        puts("var/lib/apt/lists/x", File()),
        puts("var/cache/apt/pkgcache.bin", File()),
        puts("app/.cache/pip/http/x", File()),
        puts("srv/shop-1.0-py3-none-any.whl", File()),
        puts("app/.ipynb_checkpoints/x", File()),
    ],
    "base": [
        labels("org.opencontainers.image.base.digest", None),
        labels("org.opencontainers.image.base.digest", "latest"),
    ],
    "distributions": [
        changes(1, "app/requirements.lock", data=b"shop==1.1 \\\n --hash=sha256:00\n"),
        changes(1, "app/requirements.lock", data=b"shop==1.0\nother==2\n"),
        changes(1, "app/requirements.lock", data=b""),
        changes(0, f"{SITE}/shop.py", data=b"import os\n"),
        puts(f"{SITE}/shop.py", File(b"import os\n")),
        puts(f"{SITE}/.wh.shop-1.0.dist-info", File()),
        puts(f"{SITE}/extra.py", File()),
        puts(f"{SITE}/extra.pth", File(b"import extra\n")),
        puts("opt/venv/bin/tool", program()),
    ],
    "byte code": [
        puts("app/__pycache__/app.cpython-311.pyc", File(hard.BYTE_CODE)),
        puts("app/app.pyc", File(hard.BYTE_CODE)),
        changes(0, f"{SITE}/__pycache__/shop.cpython-311.pyc", data=bytes(16)),
    ],
    "model": [
        puts("app/model/model.pkl", File(b"another one", 0o444)),
        puts("app/model/.wh.model.pkl", File()),
        puts("app/model/model.pkl", link("/srv/other")),
        puts("app/model/model.pkl", File(hard.MODEL, 0o644)),
        changes(1, "app/model", mode=0o775),
        changes(1, "app/modelpack.json", mode=0o644),
        labels("dev.modelpack.model.sha256", "0" * 64),
    ],
    "secrets": [
        puts("app/.netrc", File()),
        puts("app/.env", File()),
        puts("srv/.git/config", File()),
        puts("srv/id_ed25519", File()),
        puts("srv/.docker/config.json", File()),
        puts("app/notes.txt", File(hard.PRIVATE_KEY)),
        puts("app/notes.txt", File(f"key = {hard.SECRET}".encode())),
        puts("app/notes.txt", File(bytes(2**20 - 8) + hard.SECRET.encode())),
        puts("app/notes.txt", File(b"see https://me:hush@example.com/x")),
        hard.variable(f"KEY={hard.SECRET}"),
        labels("org.example.note", "https://me:hush@example.com"),
        tells(f"RUN login {hard.SECRET} # buildkit"),
        # Below another layer, and in a file that was removed again.
        lambda made: (
            made.layers[0].update({"srv/.netrc": File(), "srv/note": File()})
            or made.top.update({"srv/.wh..netrc": File()})
        ),
    ],
    "entrypoint": [
        sets("Entrypoint", ["/bin/sh", "-c", "python -m modelpack.serving"]),
        sets("Entrypoint", None),
        sets("Cmd", ["bash"]),
        sets("Shell", ["/bin/bash", "-c"]),
    ],
    "environment": [
        hard.variable("LD_PRELOAD=/tmp/x.so"),
        hard.variable("PYTHONPATH=/tmp"),
        hard.variable("https_proxy=http://proxy.test"),
        sets("Env", ["PATH=/opt/venv/bin:"]),
        sets("Env", ["PATH=/opt/venv/bin:/tmp"]),
    ],
    "healthcheck": [
        sets("Healthcheck", None),
        sets("Healthcheck", {"Test": ["NONE"]}),
        sets("Healthcheck", {"Test": ["CMD-SHELL", "python -m modelpack.serving.health"]}),
    ],
    "stop signal": [sets("StopSignal", None), sets("StopSignal", "SIGKILL")],
    "ports": [sets("ExposedPorts", {}), sets("ExposedPorts", {"8080/tcp": {}, "22/tcp": {}})],
    "volumes": [sets("Volumes", {"/data": {}})],
    "instructions": [
        tells("ADD https://example.com/x /x # buildkit"),
        tells("RUN /bin/sh -c curl -s https://example.com/x > /x"),
        tells("RUN /bin/sh -c apt-get update # buildkit"),
        tells("RUN /bin/sh -c apt-get -y upgrade # buildkit"),
        tells("RUN /bin/sh -c pip install numpy # buildkit"),
    ],
    "labels": [
        labels("dev.modelpack.framework", None),
        labels("dev.modelpack.framework", "\x1b[31mred"),
        labels("dev.modelpack.framework", "right\u202eleft"),
        labels("dev.modelpack.framework", "a\nb"),
        labels("dev.modelpack.framework", "x" * 5000),
        labels("dev.modelpack.sbom.sha256", "0" * 64),
    ],
    "times": [
        puts("app/app.py", File(mtime=hard.TIME + 1)),
        lambda made: made.config.update(created=""),
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


def broken(made: hard.Made, given: tuple[KnownSecret, ...] = ()) -> dict[str, list[str]]:
    """Rule -> where it is broken."""
    found = hardening.scan(made.image, given)
    return {r.rule: [each.where for each in r.violations] for r in found if not r.passed}


def test_a_good_image_breaks_no_rule():
    assert broken(hard.made()) == {}


@pytest.mark.parametrize(("rule", "spoil"), CASES)
def test_what_is_spoilt_is_found(rule, spoil):
    made = hard.made()
    spoil(made)
    assert set(broken(made)) == {rule}


def test_every_rule_has_a_case_a_docstring_and_sources():
    assert {rule.name for rule in rules.RULES} == {*SPOILT, "build secrets"}
    for rule in rules.RULES:
        assert rule.violations.__doc__
        assert all(source.startswith(("CIS ", "NIST ")) for source in rule.sources)


def test_the_document_has_a_line_a_rule():
    document = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
    table = document.partition("<!-- rules -->\n")[2].partition("<!-- /rules -->")[0]
    told = [[cell.strip() for cell in row.split("|")[1:3]] for row in table.splitlines()[2:]]
    assert told == [[rule.name, ", ".join(rule.sources)] for rule in rules.RULES]


def test_without_a_history_all_files_are_held_to_what_is_asked_of_ours():
    made = hard.made()
    made.config["history"] = []
    assert broken(made)["tools"] == ["bin/sh", "usr/bin/apt"]


def test_a_layer_can_not_be_slipped_below_the_mark():
    """A second mark is the word of whoever wrote it."""
    made = hard.made()
    made.top["usr/bin/bash"] = program()
    made.config["history"].insert(
        -1, {"created_by": "LABEL dev.modelpack.version=9", "empty_layer": True}
    )
    assert set(broken(made)) == {"tools"}


def test_what_is_no_image_of_ours_is_told():
    made = hard.made()
    del made.layers[1]["app/modelpack.json"]
    with pytest.raises(UsageError, match="was not created by modelpack"):
        hardening.scan(made.image)


def test_a_layer_is_read_once(monkeypatch):
    made = hard.made()
    first = broken(made)
    image = made.image

    def unread():
        raise AssertionError("a layer was read again")

    layers = [type(layer)(layer.diff_id, unread) for layer in image.layers]
    again = hardening.scan(type(image)(image.config, tuple(layers)))
    assert {r.rule for r in again if not r.passed} == set(first)


# --- secrets that the build was given ------------------------------------------------------------

SECRET = "hush-7c1f-hush"
INDEX = IndexSettings(index_url=f"https://me:{SECRET}@index.test/simple")
BASIC = base64.b64encode(f"me:{SECRET}".encode())


@pytest.mark.parametrize(
    "spoil",
    [
        puts("app/notes", File(b"x" * 9000 + SECRET.encode())),
        puts("app/notes", File(bytes(2**22 - 4) + SECRET.encode())),
        puts("app/notes", File(b"Authorization: Basic " + BASIC)),
        puts(f"app/{SECRET}", File()),
        puts("app/link", link(SECRET)),
        hard.variable(f"TOKEN={SECRET}"),
        labels("note", SECRET),
        tells(f"RUN login {SECRET}"),
        lambda made: (
            made.layers[0].update({"srv/x": File(SECRET.encode())})
            or made.top.update({"srv/.wh.x": File()})
        ),
    ],
)
def test_a_secret_of_the_build_is_found_wherever_it_is(spoil):
    made = hard.made()
    given = known_secrets(INDEX, {})
    assert broken(made, given) == {}
    spoil(made)
    for _ in range(2):  # the second time out of what was kept
        assert set(broken(made, given)) == {"build secrets"}


@pytest.mark.parametrize("before", [0, 1, len(SECRET) - 1, len(SECRET)])
def test_a_secret_across_two_chunks_is_found(before):
    secret = KnownSecret("it", SECRET.encode())
    for start in (2**22, 2**23):
        stream = io.BytesIO(bytes(start - before) + secret.content + b"x")
        assert secrets._secrets_in_stream(stream, [secret]) == {secret}


def test_what_was_kept_tells_no_secret(tmp_path):
    made = hard.made()
    made.top["app/notes"] = File(SECRET.encode())
    broken(made, known_secrets(INDEX, {}))
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(kept) > 3
    assert not [content for content in kept if SECRET.encode() in content or BASIC in content]


def test_a_secret_that_is_word_for_word_in_a_wheel_was_there_before():
    given = known_secrets(IndexSettings(index_url="https://me:example@index.test/simple"), {})
    assert broken(hard.made(), given) == {}


def test_all_that_a_build_is_given_is_looked_for(tmp_path):
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
    made = hard.made()
    made.top["srv/authorities"] = File((tmp_path / "ca.pem").read_bytes())
    assert broken(made, found) == {"build secrets": ["srv/authorities"]}


def test_a_word_that_any_text_may_have_is_looked_for_with_its_user_only():
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
def test_what_looks_like_a_secret(text):
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
def test_what_only_speaks_of_one(text):
    assert not list(secrets.secret_patterns(text.encode()))
