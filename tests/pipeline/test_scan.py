"""`modelpack scan` on a packaged image and on images derived from it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import docker
import pytest
from packaged_images import SVC, package

from modelpack import cache, hardening, oci
from modelpack.engines.docker import contents
from modelpack.hardening.rules import RULES
from modelpack.pipeline import base_layers

pytestmark = [pytest.mark.engine, pytest.mark.slow]

CANARY = "canary-8e2d-hush"
EVERYTHING = f"""
USER 0
ADD modelpack.json /srv/
RUN cp /bin/sh /usr/bin/mksh && cp /bin/true /usr/bin/helper && chmod 4755 /usr/bin/helper \\
 && touch /srv/file && chmod 666 /srv/file && chown 1000 /srv/file && mkfifo /srv/queue \\
 && mkdir -m 0700 /srv/private && echo {CANARY} > /srv/note \\
 && echo "key = AKIA"ABCDEFGHIJKLMNOP > /srv/key && touch /var/tmp/left /app/old.pyc \\
 && touch -d 2100-01-01 /srv/later \\
 && echo >> /app/model/model.joblib && touch /opt/venv/lib/extra.py && apt-get update || true
LABEL org.opencontainers.image.base.digest=latest dev.modelpack.python="3\u202e11"
ENV PYTHONPATH=/srv
EXPOSE 22
VOLUME /data
STOPSIGNAL SIGKILL
HEALTHCHECK NONE
ENTRYPOINT python -m modelpack.serving
"""
FLIPPED = """
USER 0
RUN python -c "file = open('/app/model/model.joblib', 'r+b'); file.seek(-1, 2); \\
    last = file.read()[0]; file.seek(-1, 2); file.write(bytes([last ^ 1]))"
USER 65532:65532
"""


@pytest.fixture(scope="module")
def client():
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scan")
    return package(SVC / "model.joblib", "-t", "modelpack-test/scan:1", "--no-smoke", cwd=folder)[
        "image"
    ]["reference"]


@pytest.fixture(scope="module")
def derived(image, client, tmp_path_factory):
    """Makes an image of the packaged one, by further instructions."""
    images = []

    def build(name: str, instructions: str) -> str:
        folder = tmp_path_factory.mktemp(name)
        (folder / "Dockerfile").write_text(f"FROM {image}\n{instructions}")
        (folder / "modelpack.json").write_text("{}")
        reference = f"modelpack-test/scan:{name}"
        command = ["docker", "build", "--quiet", "--tag", reference, str(folder)]
        subprocess.run(command, check=True, capture_output=True)
        images.append(reference)
        return reference

    yield build
    for reference in images:
        client.images.remove(reference)


def scan(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "modelpack", "scan", *arguments],
        env={**os.environ, "COLUMNS": "200", **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_image_as_it_is_packaged_follows_every_rule(image):
    done = scan(image, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["target"] == image
    assert document["passed"] is True
    assert [ruling["rule"] for ruling in document["rulings"]] == [rule.name for rule in RULES]
    assert all(ruling["sources"] and not ruling["violations"] for ruling in document["rulings"])


def test_violations_in_added_layers_are_found(derived):
    bad = derived("everything", EVERYTHING)
    done = scan(bad, PIP_INDEX_URL=f"https://me:{CANARY}@index.test/simple")
    assert done.returncode == 7, done.stderr
    lines = done.stdout.splitlines()
    holding = [line.split("  ")[0].strip() for line in lines if "  passed " in line]
    assert holding == []
    for violation in (
        "usr/bin/helper: has the mode 4755",
        "usr/bin/mksh: is a shell",
        "srv/note: contains the password of the index",
        "srv/key: is or contains a key of AWS",
        "app/model/model.joblib: does not have the digest",
    ):
        assert violation in done.stdout
    assert "\u202e" not in done.stdout
    assert CANARY not in done.stdout + done.stderr
    assert "does not follow the rules: user, any user" in done.stderr


def test_a_byte_of_the_model_that_was_flipped_is_found_and_not_served(derived, client):
    flipped = derived("flipped", FLIPPED)
    done = scan(flipped, "--json")
    broken = [each for each in json.loads(done.stdout)["rulings"] if each["violations"]]
    assert [each["rule"] for each in broken] == ["model"]
    container = client.containers.run(flipped, detach=True)
    try:
        assert container.wait(timeout=60)["StatusCode"] != 0
        assert b"the model file is not the one that was packaged" in container.logs()
    finally:
        container.remove(force=True)


def test_scan_of_the_engine_equals_that_of_the_archive(engine, image, tmp_path):
    archive = tmp_path / "image.tar"
    subprocess.run(["docker", "save", "--output", archive, image], check=True)
    with (
        oci.open_image(f"docker-archive:{archive}") as kept,
        engine.images.open_image(image) as from_engine,
    ):
        assert [(x.diff_id, x.created_by) for x in from_engine.layers] == [
            (x.diff_id, x.created_by) for x in kept.layers
        ]
        for key in ("architecture", "os", "rootfs"):
            assert from_engine.config[key] == kept.config[key]
        ignored = {"ArgsEscaped", "OnBuild"}  # of the builder, and nothing of how it is run
        held = {k: v for k, v in kept.config["config"].items() if v and k not in ignored}
        assert from_engine.config["config"] == held
        assert [e.get("empty_layer", False) for e in kept.config["history"]] == [
            e["empty_layer"] for e in from_engine.config["history"]
        ]
    assert scan(f"docker-archive:{archive}", "--quiet").returncode == 0


def test_scan_of_a_retrained_model_does_not_fetch_the_whole_image(engine, image, monkeypatch):
    """Its layer is the last one; the others have been read before."""
    with engine.images.open_image(image) as opened_image:
        hardening.scan(opened_image)
        *_, last = opened_image.layers
    for kind in ("layers", "evidence"):
        for path in cache.directory(kind).glob(f"*{last.diff_id[7:]}*"):
            path.unlink()
    monkeypatch.setattr(contents._Layers, "_save", lambda *_: pytest.fail("docker save was called"))
    with engine.images.open_image(image) as opened_image:
        assert all(ruling.passed for ruling in hardening.scan(opened_image))


def test_scan_saves_only_the_base_image(engine, image, base, monkeypatch, tmp_path):
    """All layers above it are read from the files of the image."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    save, saved = contents._Layers._save, []
    monkeypatch.setattr(
        contents._Layers, "_save", lambda self, name: saved.append(name) or save(self, name)
    )
    with engine.images.open_image(image) as opened_image:
        assert all(ruling.passed for ruling in hardening.scan(opened_image))
    assert set(saved) == {engine.images.find(base.reference).id}


def test_base_image_is_read_during_the_build(engine, image, base, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with base_layers.read_in_parallel(engine, base.reference):
        pass
    monkeypatch.setattr(contents._Layers, "_save", lambda *_: pytest.fail("docker save was called"))
    with engine.images.open_image(image) as opened_image:
        assert all(ruling.passed for ruling in hardening.scan(opened_image))


def test_build_goes_on_without_its_base_image(engine):
    """BuildKit may have an image that the engine does not list."""
    with base_layers.read_in_parallel(engine, "modelpack-test/none:1"):
        pass


def test_foreign_image_is_reported(base):
    for _ in range(2):  # the second time all its layers are known
        done = scan(base.reference)
        assert done.returncode == 2
        assert "was not created by modelpack" in done.stderr


def test_an_interrupt_leaves_nothing(image, tmp_path):
    """The interrupt comes while the engine writes an image that is not in the cache."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environ = {**os.environ, "TMPDIR": str(scratch), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "modelpack", "scan", image]
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not list(scratch.rglob("*image.tar*")) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.strip() == "interrupted"
    assert list(scratch.iterdir()) == []
