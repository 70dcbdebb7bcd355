"""Signed images in a real registry.

modelpack and cosign verify each other's signatures, and both detect changes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import registries
import serving_models
from attested_images import build_image
from bundle_specs import spec_for
from serving_models import BASE, ENVIRONMENT

from modelpack.attestations import cosign, keys
from modelpack.attestations import registry as attestations_registry
from modelpack.attestations.checks import run_checks
from modelpack.attestations.subject import Subject
from modelpack.bundle import render
from modelpack.engines.docker.engine import DockerEngine
from modelpack.errors import UsageError
from modelpack.oci import Image, layout
from modelpack.oci import image as oci_image
from modelpack.oci.image import Descriptor, blob_from_bytes
from modelpack.oci.registry import push, referrers
from modelpack.oci.registry.client import Repository, connect
from modelpack.oci.registry.push import upload
from modelpack.pipeline import verify
from modelpack.pipeline.options import Options
from modelpack.pipeline.stages import Pipeline
from modelpack.pipeline.targets import VERIFY, classify

PASSWORD = "secret"
OPTIONS = ("--insecure-ignore-tlog", "--allow-insecure-registry")
KINDS = {
    "slsaprovenance1": "https://slsa.dev/provenance/v1",
    "cyclonedx": "https://cyclonedx.org/bom",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, cosign_command: str) -> Path:
    """With two pairs of keys: cosign.key and other.key."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("cosign", "other"):
        run_cosign(folder, "generate-key-pair", f"--output-key-prefix={name}")
    return folder


def run_cosign(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "COSIGN_PASSWORD": PASSWORD}
    command = ["cosign", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=60
    )


def cosign_accepts(folder: Path, reference: str, key: str = "cosign.pub") -> dict[str, bool]:
    options = (f"--key={key}", *OPTIONS, reference)
    accepted = {"signature": run_cosign(folder, "verify", *options).returncode == 0}
    for kind in KINDS:
        done = run_cosign(folder, "verify-attestation", f"--type={kind}", *options)
        accepted[kind] = done.returncode == 0
    return accepted


def failures(folder: Path, reference: str, key: str = "cosign.pub") -> set[str]:
    with attestations_registry.open_registry_image(reference) as registry_image:
        subject = Subject(
            *attestations_registry.find_attestations(registry_image), keys.verifier(folder / key)
        )
        return {verdict.name for verdict in run_checks(subject) if verdict.state == "fails"}


@pytest.fixture(scope="module")
def folder_of_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    spec = spec_for(folder, serving_models.iris())
    return render.render(spec, ENVIRONMENT, BASE, folder / "bundle").directory


class Pushed:
    """An image that was put together without an engine, under a name of its own."""

    def __init__(self, host: str, name: str, folder: Path, **changes: bytes) -> None:
        self.reference = f"{host}/team/{name}:1"
        with connect(self.reference) as repository:
            self.digest = push_changed_image(repository, folder, changes)
        self.pinned = f"{host}/team/{name}@{self.digest}"

    def attach(self, signer: keys.Signer | None = None) -> None:
        with attestations_registry.open_registry_image(self.reference) as registry_image:
            attestations_registry.attach_attestations(registry_image, signer)


def push_changed_image(repository: Repository, folder: Path, changes: dict[str, bytes]) -> str:
    image = build_image(folder, changes)
    [layer] = image.layers
    with layer.open() as stream:
        tar = blob_from_bytes(stream.read(), oci_image.LAYER)
    image_manifest = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
        **image.config,
    }
    config = blob_from_bytes(json.dumps(image_manifest).encode(), oci_image.CONFIG)
    for blob in (tar, config):
        upload(repository, blob, lambda *_: None)
    pointers = [Descriptor(b.media_type, b.digest, b.size).to_json() for b in (config, tar)]
    manifest = cosign.manifest(pointers[0], pointers[1:])
    repository.put_manifest(manifest, oci_image.MANIFEST, repository.name.tag)
    return f"sha256:{hashlib.sha256(manifest).hexdigest()}"


@pytest.fixture(scope="module")
def signer(folder: Path) -> keys.Signer:
    return keys.signer(folder / "cosign.key", lambda: PASSWORD)


@pytest.fixture
def pushed(
    request: pytest.FixtureRequest, registry: str, folder_of_bundle: Path, signer: keys.Signer
) -> Pushed:
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:12]
    image = Pushed(registry, name, folder_of_bundle)
    image.attach(signer)
    return image


ALL = {"signature": True, "slsaprovenance1": True, "cyclonedx": True}
NONE = dict.fromkeys(ALL, False)


def test_signature_by_modelpack_is_verified_by_both_programs(pushed: Pushed, folder: Path) -> None:
    assert cosign_accepts(folder, pushed.reference) == ALL
    assert failures(folder, pushed.reference) == failures(folder, pushed.pinned) == set()


def test_cosign_gets_the_predicates_of_the_image(
    pushed: Pushed, folder: Path, folder_of_bundle: Path
) -> None:
    bill = json.loads((folder_of_bundle / "sbom.cdx.json").read_bytes())
    provenance = json.loads((folder_of_bundle / "provenance.json").read_bytes())
    expected = {"slsaprovenance1": provenance["predicate"], "cyclonedx": bill}
    for kind, predicate in expected.items():
        options = (f"--type={kind}", "--key=cosign.pub", *OPTIONS, pushed.reference)
        done = run_cosign(folder, "verify-attestation", *options)
        statement = json.loads(base64.b64decode(json.loads(done.stdout)["payload"]))
        assert statement["predicateType"] == KINDS[kind]
        assert statement["predicate"] == predicate
        assert statement["subject"][0]["digest"] == {"sha256": pushed.digest.partition(":")[2]}


def test_both_documents_refer_to_the_image(pushed: Pushed) -> None:
    with connect(pushed.reference) as repository:
        found = referrers.referrers(repository, pushed.digest)
    assert {entry.artifact_type for entry in found} == {
        "application/vnd.cyclonedx+json",
        "application/vnd.in-toto+json",
    }


def test_second_attestation_by_the_same_key_adds_nothing(
    pushed: Pushed, signer: keys.Signer
) -> None:
    def signatures_in_registry() -> list[Any]:
        with connect(pushed.reference) as repository:
            tags = (cosign.tag(pushed.digest, kind) for kind in ("sig", "att"))
            signed = [repository.manifest(tag)[1] for tag in tags]
            return [*signed, referrers.referrers(repository, pushed.digest)]

    before = signatures_in_registry()
    pushed.attach(signer)
    assert signatures_in_registry() == before


def test_two_keys_may_sign(pushed: Pushed, folder: Path) -> None:
    pushed.attach(keys.signer(folder / "other.key", lambda: PASSWORD))
    for key in ("cosign.pub", "other.pub"):
        assert cosign_accepts(folder, pushed.reference, key) == ALL
        assert failures(folder, pushed.reference, key) == set()


def test_modelpack_verifies_a_signature_by_cosign(
    registry: str, folder: Path, folder_of_bundle: Path
) -> None:
    image = Pushed(registry, "theirs", folder_of_bundle)
    assert failures(folder, image.reference) == {"signature"}
    options = ("-y", "--key=cosign.key", "--tlog-upload=false", "--allow-insecure-registry")
    assert run_cosign(folder, "sign", *options, image.pinned).returncode == 0
    assert failures(folder, image.reference) == set()
    provenance = json.loads((folder_of_bundle / "provenance.json").read_bytes())
    for kind, predicate in (
        ("slsaprovenance1", provenance["predicate"]),
        ("cyclonedx", json.loads((folder_of_bundle / "sbom.cdx.json").read_bytes())),
    ):
        (folder / "predicate").write_text(json.dumps(predicate))
        attest = ("attest", *options, f"--type={kind}", "--predicate=predicate", image.pinned)
        done = run_cosign(folder, *attest)
        assert done.returncode == 0, done.stderr
    with attestations_registry.open_registry_image(image.reference) as registry_image:
        subject = Subject(
            *attestations_registry.find_attestations(registry_image),
            keys.verifier(folder / "cosign.pub"),
        )
        *_, last = run_checks(subject)
    assert (last.state, last.detail) == ("holds", "nothing attached, both documents signed")


@pytest.mark.engine
def test_pulled_image_is_removed_from_the_engine_after_the_block(
    pushed: Pushed, engine: DockerEngine
) -> None:
    with engine.images.pull_temporarily(pushed.pinned) as name:
        with engine.images.open_image(name) as image:
            assert image.config["config"]["Labels"]["dev.modelpack.version"]
        with engine.images.pull_temporarily(pushed.pinned):
            pass
        with engine.images.open_image(name):
            pass  # what was here before stays
    with pytest.raises(UsageError, match="no image"), engine.images.open_image(pushed.pinned):
        pass
    absent = pushed.pinned[:-4] + "0000"
    with (
        pytest.raises(UsageError, match="cannot be pulled"),
        engine.images.pull_temporarily(absent),
    ):
        pass


# --- several platforms, and places without a registry --------------------------------------------


def image_for_platform(folder: Path, architecture: str) -> Image:
    image = build_image(folder, {"usr/bin/python": architecture.encode()})
    rootfs = {"type": "layers", "diff_ids": [layer.diff_id for layer in image.layers]}
    config = {"architecture": architecture, "os": "linux", "rootfs": rootfs, **image.config}
    return replace(image, config=config)


@pytest.fixture(scope="module")
def layout_path(tmp_path_factory: pytest.TempPathFactory, folder_of_bundle: Path) -> Path:
    """A layout with an image for two platforms."""
    images = [image_for_platform(folder_of_bundle, name) for name in ("amd64", "arm64")]
    path = tmp_path_factory.mktemp("laid") / "layout"
    layout.write_layout(path, images, "iris:1")
    return path


def test_index_and_each_platform_image_are_signed(
    registry: str, folder: Path, layout_path: Path, signer: keys.Signer
) -> None:
    reference = f"{registry}/team/platforms:1"
    with connect(reference) as repository:
        top = layout.find_manifest((layout_path / "index.json").read_bytes(), "")
        push.push(layout.LayoutStore(layout_path), top, repository, lambda *_: None)
    with attestations_registry.open_registry_image(reference) as registry_image:
        attestations_registry.attach_attestations(registry_image, signer)
    verifier = keys.verifier(folder / "cosign.pub")
    for platform in ("linux/amd64", "linux/arm64"):
        with attestations_registry.open_registry_image(reference) as registry_image:
            image, attached = attestations_registry.find_attestations(registry_image, platform)
            assert image.digest != attached.digest == top.digest
            found = {v.name: v.state for v in run_checks(Subject(image, attached, verifier))}
        assert set(found.values()) == {"holds"}
        each = f"{registry}/team/platforms@{image.digest}"
        assert cosign_accepts(folder, each) == ALL
    assert cosign_accepts(folder, reference)["signature"]


def test_layout_is_verified_in_place(layout_path: Path) -> None:
    run = Pipeline(Options(smoke=False, platform="linux/arm64"))
    outcome = verify.verify(run, classify(f"oci:{layout_path}", VERIFY))
    assert (outcome.verified, outcome.signed) == (True, None)
    with pytest.raises(UsageError, match="only a registry keeps signatures"):
        verify.verify(run, classify(f"oci:{layout_path}", VERIFY), layout_path / "cosign.pub")


# --- changes in the registry ---------------------------------------------------------------------


def test_signature_of_another_key_is_reported(pushed: Pushed, folder: Path) -> None:
    assert cosign_accepts(folder, pushed.reference, "other.pub") == NONE
    assert failures(folder, pushed.reference, "other.pub") == {"signature", "attached"}


def test_tag_moved_to_another_image_is_reported(
    pushed: Pushed, folder: Path, folder_of_bundle: Path
) -> None:
    with connect(pushed.reference) as repository:
        push_changed_image(repository, folder_of_bundle, {"app/app.py": b"import os\n"})
    assert cosign_accepts(folder, pushed.reference) == NONE
    assert failures(folder, pushed.reference) == {"signature", "content"}


def test_signature_attached_to_another_image_is_reported(
    pushed: Pushed, folder: Path, folder_of_bundle: Path
) -> None:
    with connect(pushed.reference) as repository:
        digest = push_changed_image(repository, folder_of_bundle, {"app/app.py": b"import os\n"})
        for kind in ("sig", "att"):
            _, data = repository.manifest(cosign.tag(pushed.digest, kind))
            repository.put_manifest(data, oci_image.MANIFEST, cosign.tag(digest, kind))
    assert cosign_accepts(folder, pushed.reference) == NONE
    assert failures(folder, pushed.reference) == {"signature", "content", "attached"}


def flip(folder: Path, digest: str, old: bytes) -> None:
    """Changes a byte of a blob where the registry keeps it."""
    algorithm, _, value = digest.partition(":")
    [path] = folder.glob(f"**/blobs/{algorithm}/{value[:2]}/{value}/data")
    content = bytearray(path.read_bytes())
    content[content.index(old)] ^= 1
    path.write_bytes(content)


def read_layer_descriptor(reference: str, tag: str, number: int = 0) -> Descriptor:
    with connect(reference) as repository:
        manifest = oci_image.parse_json(repository.manifest(tag)[1])
    return oci_image.descriptors(manifest, "layers")[number]


@pytest.fixture
def own_registry(tmp_path: Path, registry: str) -> Iterator[str]:
    """One that keeps its blobs in the folder of the test."""
    with registries.run_registry(tmp_path) as host:
        yield host


def test_flipped_bytes_in_the_registry_are_reported(
    own_registry: str, tmp_path: Path, folder: Path, folder_of_bundle: Path, signer: keys.Signer
) -> None:
    image = Pushed(own_registry, "flipped", folder_of_bundle)
    image.attach(signer)
    assert failures(folder, image.reference) == set()
    flip(tmp_path, read_layer_descriptor(image.reference, "1").digest, b"interpreter")
    assert "layers" in failures(folder, image.reference)
    signed = read_layer_descriptor(image.reference, cosign.tag(image.digest, "sig"))
    flip(tmp_path, signed.digest, b"docker-reference")
    assert "signature" in failures(folder, image.reference)
    assert not cosign_accepts(folder, image.reference)["signature"]
    for number, kind in enumerate(("cyclonedx", "slsaprovenance1")):
        attested = read_layer_descriptor(image.reference, cosign.tag(image.digest, "att"), number)
        flip(tmp_path, attested.digest, b"sig")
        assert "attached" in failures(folder, image.reference)
        assert not cosign_accepts(folder, image.reference)[kind]


@pytest.mark.parametrize(
    "kind", [attestations_registry.SBOM_TYPE, attestations_registry.STATEMENT_TYPE]
)
def test_replaced_attached_document_is_reported(
    registry: str, folder: Path, folder_of_bundle: Path, kind: str
) -> None:
    name = "replaced-" + kind.partition(".")[2].partition("+")[0].replace("-", "")
    image = Pushed(registry, name, folder_of_bundle)
    with connect(image.reference) as repository:
        descriptor, _ = repository.manifest()
        text = {"_type": "x", "subject": [cosign.subject("x", image.digest)]}
        statement = {**text, "predicateType": KINDS["slsaprovenance1"], "predicate": {"evil": 1}}
        referrers.attach(
            repository, descriptor, kind, [blob_from_bytes(json.dumps(statement).encode(), kind)]
        )
    with attestations_registry.open_registry_image(image.reference) as registry_image:
        found = {
            v.name: v.state
            for v in run_checks(Subject(*attestations_registry.find_attestations(registry_image)))
        }
    assert found["attached"] == "fails"
