"""The checks of `verify` fail for a changed image, changed documents or attachments."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import serving_models
from attested_images import VENV, build_image, opener
from bundle_specs import PARITY, spec_for, user_code
from serving_models import BASE, ENVIRONMENT

from modelpack.attestations import checks, cosign, provenance, registry, sbom
from modelpack.attestations.documents import document
from modelpack.attestations.keys import Signer
from modelpack.attestations.subject import AttachedDocuments, State, Subject, Verdict
from modelpack.bundle import render
from modelpack.errors import SmokeFailedError, VerificationError
from modelpack.oci import Image
from modelpack.oci.image import Blob
from modelpack.parity.claims import Claim
from modelpack.pipeline.verify import Verification, require_verified
from modelpack.types import Bundle, Check, SmokeReport

DIGEST = f"sha256:{'b' * 64}"
REPOSITORY = "registry.example/team/iris"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("made")
    spec = spec_for(folder, serving_models.iris())
    return render.render(spec, ENVIRONMENT, BASE, folder / "b", user_code(), claim=Claim(PARITY))


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def create_signer(kind: str = "ec") -> Signer:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: PLC0415

    if kind == "ec":
        return Signer(ec.generate_private_key(ec.SECP256R1()))
    if kind == "rsa":
        return Signer(rsa.generate_private_key(65537, 2048))
    return Signer(ed25519.Ed25519PrivateKey.generate())


def failures(subject: Subject) -> dict[str, str]:
    return {v.name: v.detail for v in checks.run_checks(subject) if v.state == "fails"}


def states(subject: Subject) -> dict[str, str]:
    return {verdict.name: verdict.state for verdict in checks.run_checks(subject)}


def test_unchanged_image_passes_verification(rendered: Bundle) -> None:
    found = states(Subject(build_image(rendered.directory)))
    assert found.pop("signature") == found.pop("attached") == "unknown"
    assert set(found.values()) == {"holds"}
    assert len(found) == len(checks.CHECKS) - 2


# --- the image -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "content", "check"),
    [
        ("app/app.py", b"import os\n", "content"),
        ("app/gunicorn.conf.py", None, "content"),
        ("app/requirements.lock", b"numpy==1\n", "content"),
        ("app/model/model.joblib", b"the bytes of a modeL", "content"),
        ("app/modelpack.json", b"{}", "content"),
        ("app/modelpack/serving/loading.py", b"", "content"),
        ("app/modelpack/serving/more.py", b"", "content"),
        ("app/modelpack/serving/playground/__init__.py", None, "content"),
        ("app/code/modelpack_main.py", b"class Model:\n    x = 1\n", "content"),
        ("app/more.py", b"", "content"),
        ("app/more.pyc", b"", "content"),
        (f"{VENV}/numpy-2.0.dist-info/METADATA", b"", "sbom"),
        (f"{VENV}/scikit_learn-1.9.0.dist-info/METADATA", b"", "sbom"),
        (f"{VENV}/scikit_learn-1.9.1.dist-info/METADATA", None, "sbom"),
    ],
)
def test_undocumented_change_is_reported(
    rendered: Bundle, path: str, content: bytes | None, check: str
) -> None:
    found = failures(Subject(build_image(rendered.directory, {path: content})))
    assert list(found) == [check]
    named = "scikit-learn" if "scikit" in path else path.removeprefix("app/").split("/")[0]
    assert named in found[check] or "numpy" in found[check]


@pytest.mark.parametrize("name", ["sbom.cdx.json", "provenance.json"])
def test_flipped_byte_in_a_document_is_reported(rendered: Bundle, name: str) -> None:
    content = bytearray((rendered.directory / name).read_bytes())
    position = content.index(b"modelpack") + 3
    content[position] ^= 1
    found = failures(Subject(build_image(rendered.directory, {f"app/{name}": bytes(content)})))
    assert name in found["labels"]


def with_byte_flipped(image: Image) -> Image:
    with image.layers[0].open() as stream:
        tar = bytearray(stream.read())
    tar[tar.index(b"interpreter")] ^= 1
    return replace(image, layers=(replace(image.layers[0], open=opener(bytes(tar))),))


def test_flipped_byte_in_a_layer_is_reported_although_its_files_are_known(rendered: Bundle) -> None:
    image = build_image(rendered.directory)
    assert failures(Subject(image)) == {}
    assert list(failures(Subject(with_byte_flipped(image)))) == ["layers"]


def test_a_layer_has_the_digest_of_its_blob(rendered: Bundle) -> None:
    image = build_image(rendered.directory)
    [layer] = image.layers
    blob = Blob(layer.diff_id, 1, "application/vnd.oci.image.layer.v1.tar", layer.open)
    assert failures(Subject(replace(image, layers=(replace(layer, blob=blob),)))) == {}
    other = replace(layer, blob=replace(blob, digest=DIGEST))
    assert list(failures(Subject(replace(image, layers=(other,))))) == ["layers"]


@pytest.mark.parametrize(
    ("label", "check"),
    [
        ("dev.modelpack.sbom.sha256", "labels"),
        ("dev.modelpack.provenance.sha256", "labels"),
        ("dev.modelpack.parity", "labels"),
        ("dev.modelpack.parity.rows", "labels"),
        ("dev.modelpack.model.sha256", "provenance"),
        ("org.opencontainers.image.base.digest", "provenance"),
    ],
)
def test_contradicting_label_is_reported(rendered: Bundle, label: str, check: str) -> None:
    image = build_image(rendered.directory)
    for other in (DIGEST, None):
        labels = {**image.config["config"]["Labels"], label: other}
        if other is None:
            del labels[label]
        config = {"config": {**image.config["config"], "Labels": labels}}
        assert list(failures(Subject(replace(image, config=config)))) == [check]


def test_claim_without_provenance_is_reported(rendered: Bundle) -> None:
    image = build_image(rendered.directory)
    for claim in ("MODELPACK_PARITY=better", "MODELPACK_PROOF=the same bits"):
        config = {"config": {**image.config["config"], "Env": [claim]}}
        assert list(failures(Subject(replace(image, config=config)))) == ["labels"]
    labels = {**image.config["config"]["Labels"], "dev.modelpack.compiled.ulp": "0"}
    config = {"config": {**image.config["config"], "Labels": labels}}
    assert list(failures(Subject(replace(image, config=config)))) == ["labels"]


def relabelled(image: Image, documents: dict[str, bytes], folder: Path) -> Image:
    """An image whose labels have the digests of documents that were put into it."""
    import hashlib  # noqa: PLC0415

    changed = build_image(folder, {f"app/{name}": text for name, text in documents.items()})
    names = {"sbom.cdx.json": "sbom", "provenance.json": "provenance"}
    labels = {
        f"dev.modelpack.{names[name]}.sha256": hashlib.sha256(text).hexdigest()
        for name, text in documents.items()
    }
    config = image.config["config"]
    return replace(changed, config={"config": {**config, "Labels": {**config["Labels"], **labels}}})


Change = Callable[[dict[str, Any]], object]
DAMAGES: list[tuple[str, Change, str]] = [
    ("provenance.json", lambda statement: statement.clear(), "provenance"),
    ("provenance.json", lambda statement: statement.update(_type="x"), "provenance"),
    ("provenance.json", lambda statement: statement.update(subject=[]), "provenance"),
    ("provenance.json", lambda statement: statement.update(predicate=[]), "provenance"),
    (
        "provenance.json",
        lambda statement: statement["predicate"].update(buildDefinition=1),
        "provenance",
    ),
    ("sbom.cdx.json", lambda statement: statement.clear(), "sbom"),
    ("sbom.cdx.json", lambda statement: statement.update(components=[1]), "sbom"),
    ("sbom.cdx.json", lambda statement: statement["components"].pop(0), "sbom"),
    ("sbom.cdx.json", lambda statement: statement["components"][0].update(hashes=[]), "sbom"),
]


@pytest.mark.parametrize(("name", "change", "check"), DAMAGES)
def test_foreign_documents_fail_verification(
    rendered: Bundle, name: str, change: Change, check: str
) -> None:
    content = json.loads((rendered.directory / name).read_bytes())
    change(content)
    image = relabelled(
        build_image(rendered.directory), {name: document(content).encode()}, rendered.directory
    )
    assert check in failures(Subject(image))


@pytest.mark.parametrize("text", [b"{", b"[]", b"[" * 100_000, b'"x"', b"\xff"])
def test_hostile_documents_are_refused(rendered: Bundle, text: bytes) -> None:
    image = relabelled(
        build_image(rendered.directory), {"provenance.json": text}, rendered.directory
    )
    assert {"labels", "provenance", "content"} <= set(failures(Subject(image)))


def test_image_without_documents_fails_verification(rendered: Bundle) -> None:
    nothing = {"app/sbom.cdx.json": None, "app/provenance.json": None}
    found = failures(Subject(build_image(rendered.directory, nothing)))
    assert "which describes how it was built" in found["provenance"]


# --- signatures and attestations -----------------------------------------------------------------


def attachments(rendered: Bundle, signer: Signer, **changes: Any) -> AttachedDocuments:
    bill, provenance_document = (
        json.loads((rendered.directory / name).read_bytes()) for name in DOCUMENTS
    )
    predicates = ((sbom.PREDICATE, bill), (provenance.PREDICATE, provenance_document["predicate"]))
    statement = provenance.create_statement(
        [{"name": REPOSITORY, "digest": {"sha256": "b" * 64}}],
        provenance.PREDICATE,
        provenance_document["predicate"],
    )
    whole = AttachedDocuments(
        DIGEST,
        [cosign.create_signature(REPOSITORY, DIGEST, signer)],
        [
            cosign.create_attestation(REPOSITORY, DIGEST, predicate, signer)
            for predicate in predicates
        ],
        {
            registry.SBOM_TYPE: [json.dumps(bill).encode()],
            registry.STATEMENT_TYPE: [json.dumps(statement).encode()],
        },
    )
    return replace(whole, **changes)


DOCUMENTS = ("sbom.cdx.json", "provenance.json")


@pytest.mark.parametrize("kind", ["ec", "ed25519", "rsa"])
def test_signed_and_attached_documents_pass_verification(rendered: Bundle, kind: str) -> None:
    signer = create_signer(kind)
    subject = Subject(
        build_image(rendered.directory), attachments(rendered, signer), signer.verifier
    )
    assert set(states(subject).values()) == {"holds"}
    *_, last = checks.run_checks(subject)
    assert last.detail == "both documents attached, both documents signed"


def verdict(subject: Subject, name: str) -> Verdict:
    return next(v for v in checks.run_checks(subject) if v.name == name)


def test_signature_of_another_key_is_not_accepted(rendered: Bundle) -> None:
    subject = Subject(
        build_image(rendered.directory),
        attachments(rendered, create_signer()),
        create_signer("ed25519").verifier,
    )
    found = failures(subject)
    assert set(found) == {"signature", "attached"}
    assert "No signature of the image is by this key" in found["signature"]


def test_verification_without_a_key_reports_no_signature(rendered: Bundle) -> None:
    subject = Subject(build_image(rendered.directory), attachments(rendered, create_signer()))
    found = verdict(subject, "signature")
    assert (found.state, "the author is not known" in found.detail) == ("unknown", True)


def test_unsigned_image_fails_verification_by_key(rendered: Bundle) -> None:
    signer = create_signer()
    subject = Subject(
        build_image(rendered.directory),
        attachments(rendered, signer, signatures=[]),
        signer.verifier,
    )
    assert "is not signed" in failures(subject)["signature"]


def test_signature_of_other_content_is_rejected(rendered: Bundle) -> None:
    """The signature belongs to another image."""
    signer = create_signer()
    attached = attachments(rendered, signer, digest=f"sha256:{'c' * 64}")
    subject = Subject(build_image(rendered.directory), attached, signer.verifier)
    assert list(failures(subject)) == ["signature"]


def flipped(text: str) -> str:
    other = "A" if text[20] != "A" else "B"
    return text[:20] + other + text[21:]


def test_flipped_byte_in_a_signature_is_reported(rendered: Bundle) -> None:
    signer = create_signer()
    attached = attachments(rendered, signer)
    [part] = attached.signatures
    bad = replace(part, annotations={cosign.SIGNATURE: flipped(part.annotations[cosign.SIGNATURE])})
    subject = Subject(
        build_image(rendered.directory), replace(attached, signatures=[bad]), signer.verifier
    )
    assert list(failures(subject)) == ["signature"]


@pytest.mark.parametrize("member", ["payload", "payloadType", "sig"])
def test_flipped_byte_in_an_attestation_is_reported(rendered: Bundle, member: str) -> None:
    signer = create_signer()
    attached = attachments(rendered, signer)
    bad = []
    for part in attached.attestations:
        envelope = json.loads(part.content)
        where = envelope["signatures"][0] if member == "sig" else envelope
        where[member] = flipped(where[member])
        bad.append(replace(part, content=json.dumps(envelope).encode()))
    subject = Subject(
        build_image(rendered.directory), replace(attached, attestations=bad), signer.verifier
    )
    assert list(failures(subject)) == ["attached"]


def test_signature_of_another_type_is_rejected() -> None:
    """The key may have signed documents that have these members for another purpose."""
    signer = create_signer()
    part = cosign.create_signature("a", DIGEST, signer)
    payload = json.loads(part.content)
    for kind, result in ((payload["critical"]["type"], True), ("another signature", False)):
        payload["critical"]["type"] = kind
        content = json.dumps(payload).encode()
        signature = base64.b64encode(signer.sign(content)).decode()
        signed = cosign.Part("x", content, {cosign.SIGNATURE: signature})
        assert cosign.is_signature(signed, DIGEST, signer.verifier) is result


@pytest.mark.parametrize("kind", [registry.SBOM_TYPE, registry.STATEMENT_TYPE])
def test_contradicting_attached_document_is_reported(rendered: Bundle, kind: str) -> None:
    attached = attachments(rendered, create_signer())
    own = attached.attached[kind]
    bad = [own[0].replace(b"python", b"Python")]
    image = build_image(rendered.directory)
    assert list(failures(Subject(image, replace(attached, attached={kind: bad})))) == ["attached"]
    both = replace(attached, attached={kind: [*bad, *own]})
    assert failures(Subject(image, both)) == {}  # others may attach documents of their own


HOSTILE = [b"", b"{", b"[]", b"[" * 100_000, b'{"payload": 1}', b'{"critical": []}', b"\xff"]


@pytest.mark.parametrize("content", HOSTILE)
def test_hostile_parts_are_rejected_as_signatures(content: bytes) -> None:
    verifier = create_signer().verifier
    for signature in ("", "!", "QUJD"):
        part = cosign.Part("x", content, {cosign.SIGNATURE: signature})
        assert not cosign.is_signature(part, DIGEST, verifier)
        assert list(cosign.predicates([part], DIGEST, verifier)) == []


# --- what comes of it ----------------------------------------------------------------------------


def build_verification(state: State, *, passed: bool | None) -> Verification:
    smoke = None
    if passed is not None:
        smoke = SmokeReport("a", "docker", (Check("ready", passed, 0.1, "x"),))
    return Verification("a", None, None, (Verdict("layers", state, "told", "do"),), smoke)


def test_exit_code_depends_on_the_failed_check() -> None:
    require_verified(build_verification("holds", passed=True))
    require_verified(build_verification("unknown", passed=None))
    with pytest.raises(VerificationError, match="a, layers: told") as refused:
        require_verified(build_verification("fails", passed=None))
    assert (refused.value.exit_code, refused.value.hint) == (3, "do")
    with pytest.raises(SmokeFailedError) as failed:
        require_verified(build_verification("holds", passed=False))
    assert failed.value.exit_code == 7
    assert [
        build_verification(state, passed=passed).verified
        for state, passed in (("holds", True), ("holds", False), ("fails", None))
    ] == [True, False, False]
