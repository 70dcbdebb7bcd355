"""The bill of materials and the provenance of a bundle: valid, deterministic, and true of it."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import serving_models
from bundle_specs import PARITY, hostile_spec, spec_for, user_code
from cyclonedx.model.bom import Bom
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hostile_text import HOSTILE
from packageurl import PackageURL
from serving_models import BASE, ENVIRONMENT

from modelpack.attestations import bundle as attestations_bundle
from modelpack.attestations import sbom
from modelpack.attestations.documents import image_purl, labels, pypi_purl, tree_digest, unlabelled
from modelpack.attestations.provenance import dependencies
from modelpack.bundle import manifest, render
from modelpack.errors import UsageError
from modelpack.parity.claims import Claim
from modelpack.types import BaseImage, Bundle, Code

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def rendered(tmp_path: Path) -> Bundle:
    spec = spec_for(tmp_path, serving_models.iris())
    return render.render(
        spec, ENVIRONMENT, BASE, tmp_path / "bundle", user_code(), claim=Claim(PARITY)
    )


def read(rendered: Bundle, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((rendered.directory / name).read_bytes())
    return document


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# --- the bill of materials -----------------------------------------------------------------------


def problems(text: str) -> list[str]:
    """Return the errors of CycloneDX's schema and library for a document."""
    found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    Bom.from_json(json.loads(text))  # type: ignore[attr-defined]
    return [str(found)] if found else []


@pytest.mark.parametrize("name", ["iris", "mixed", "author", "hostile"])
def test_a_bill_of_materials_is_valid(name: str) -> None:
    assert problems((GOLDEN / name / render.SBOM).read_text()) == []


def test_the_validator_reports_an_invalid_document() -> None:
    sbom = json.loads((GOLDEN / "iris" / render.SBOM).read_text())
    sbom["components"][0]["hashes"][0]["content"] = "00"
    assert problems(json.dumps(sbom))


def test_each_part_of_the_image_is_a_component(tmp_path: Path) -> None:
    spec = spec_for(tmp_path, serving_models.iris())
    lock = "numpy==1.26.2 \\\n    --hash=sha256:{0} \\\n    --hash=sha256:{1}\nlightgbm==4.6.0 \\\n"
    lock = lock.format("2" * 64, "1" * 64) + "    --hash=sha256:" + "3" * 64 + "\n"
    environment = replace(
        ENVIRONMENT,
        requirements={"numpy": "1.26.2", "lightgbm": "4.6.0"},
        origins={"numpy": "resolver", "lightgbm": "file"},
        lock=lock,
        system_packages=("libgomp1",),
    )
    spec = replace(spec, requirements={"LightGBM": "==4.6.0"})
    packed = render.render(spec, environment, BASE, tmp_path / "bundle", user_code())
    document = read(packed, render.SBOM)
    by_ref = {component["bom-ref"]: component for component in document["components"]}
    assert list(by_ref) == sorted(by_ref)
    assert "hashes" not in by_ref["pkg:pypi/numpy@1.26.2"]  # of two files, one is installed
    assert by_ref["pkg:pypi/lightgbm@4.6.0"]["hashes"] == [{"alg": "SHA-256", "content": "3" * 64}]
    model = by_ref["model/model.joblib"]
    assert model["type"] == "machine-learning-model"
    assert model["hashes"][0]["content"] == spec.file.sha256
    assert model["modelCard"]["modelParameters"]["task"] == "classification"
    assert by_ref["base"]["hashes"][0]["content"] == "0" * 64
    assert by_ref["pkg:deb/debian/libgomp1?arch=amd64"]["name"] == "libgomp1"
    files = {ref: c for ref, c in by_ref.items() if c["type"] == "file"}
    assert files["code/modelpack_main.py"]["hashes"][0]["content"] == sha256(
        packed.directory / "code" / "modelpack_main.py"
    )
    assert len(files) == 2
    graph = {entry["ref"]: entry.get("dependsOn", []) for entry in document["dependencies"]}
    assert graph["application"] == sorted(by_ref)
    assert graph["model/model.joblib"] == ["pkg:pypi/lightgbm@4.6.0"]
    assert sbom.distributions(document) == {"numpy": "1.26.2", "lightgbm": "4.6.0"}


def test_hostile_names_are_data_in_both_documents(tmp_path: Path) -> None:
    packed = render.render(hostile_spec(tmp_path), ENVIRONMENT, BASE, tmp_path / "bundle")
    for name in (render.SBOM, render.PROVENANCE):
        text = (packed.directory / name).read_text()
        assert text.isascii()
        assert text.replace("\n", "").isprintable()
    [model] = [c for c in read(packed, render.SBOM)["components"] if "modelCard" in c]
    inputs = model["modelCard"]["modelParameters"]["inputs"]
    assert [entry["format"] for entry in inputs] == [f"string {text}" for text in HOSTILE]


@pytest.mark.parametrize(
    ("base", "purl"),
    [
        (
            (f"r.example:5000/a/b:1@sha256:{'0' * 64}", "sha256:x"),
            "pkg:oci/b@sha256%3Ax?repository_url=r.example%3A5000/a/b&tag=1",
        ),
        (("python:3.11-slim", None), "pkg:docker/python@3.11-slim"),
        (("r.example:5000/python", None), "pkg:docker/r.example%3A5000/python@latest"),
    ],
)
def test_purls_of_images(base: tuple[str, str | None], purl: str) -> None:
    reference, digest = base
    assert image_purl(BaseImage(reference, "3.11", "user", digest)) == purl


def test_purls_equal_those_of_the_packageurl_library() -> None:
    for purl in (pypi_purl("Scikit_Learn", "1.0+cpu"), image_purl(BASE)):
        assert PackageURL.from_string(purl).name in {"scikit-learn", "python"}
    assert PackageURL.from_string(pypi_purl("a", "1.0+cpu")).version == "1.0+cpu"
    assert PackageURL.from_string(image_purl(BASE)).version == BASE.digest


# --- provenance ----------------------------------------------------------------------------------


def test_the_provenance_names_the_materials_of_the_image(rendered: Bundle) -> None:
    provenance = read(rendered, render.PROVENANCE)
    assert provenance["_type"] == "https://in-toto.io/Statement/v1"
    assert provenance["predicateType"] == "https://slsa.dev/provenance/v1"
    [subject] = provenance["subject"]
    assert subject["digest"] == {"sha256": rendered.model.file.sha256}
    found = dependencies(provenance["predicate"])
    assert found.pop("base") == {"sha256": "0" * 64}
    dockerfile = unlabelled((rendered.directory / "Dockerfile").read_text())
    assert found.pop("Dockerfile") == {"sha256": hashlib.sha256(dockerfile.encode()).hexdigest()}
    serving = rendered.directory / "modelpack" / "serving"
    assert found.pop("modelpack/serving/") == {"dirHash": by_sha256sum(serving)}
    found.pop("modelpack/assembly/", None)
    for name, digest in found.items():
        assert digest == {"sha256": sha256(rendered.directory / name)}
    assert {"app.py", "gunicorn.conf.py", "requirements.lock", "modelpack.json"} <= found.keys()
    assert {"sbom.cdx.json", ".dockerignore", "code/modelpack_main.py"} <= found.keys()
    [parity] = provenance["predicate"]["runDetails"]["byproducts"]
    assert parity["annotations"] == {"reference": "record", "rows": 17, "tolerance": 0.0}


def by_sha256sum(folder: Path) -> str:
    """Return the `dirHash` by the shell command in in-toto's specification."""
    command = "find . -type f | cut -c3- | LC_ALL=C sort | xargs -r sha256sum | sha256sum"
    done = subprocess.run(
        ["/bin/sh", "-c", command], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.split()[0]


def test_base_without_registry_is_recorded_by_image_id(tmp_path: Path) -> None:
    image_id = "sha256:" + "5" * 64
    base = BaseImage("modelpack.invalid/python:3.11-slim", "3.11", "local", image_id=image_id)
    spec = spec_for(tmp_path, serving_models.iris())
    packed = render.render(spec, ENVIRONMENT, base, tmp_path / "bundle")
    (packed.directory / "app.py").write_text("")
    for _ in range(2):
        build_definition = read(packed, render.PROVENANCE)["predicate"]["buildDefinition"]
        base_entry = next(
            e for e in build_definition["resolvedDependencies"] if e["name"] == "base"
        )
        assert base_entry["annotations"] == {"imageId": image_id}
        assert "digest" not in base_entry
        attestations_bundle.refresh_documents(
            packed
        )  # of the app that was edited: it is the same base


def test_the_labels_are_the_digests_of_the_documents(rendered: Bundle) -> None:
    dockerfile = (rendered.directory / "Dockerfile").read_text()
    bill, provenance = (
        (rendered.directory / name).read_text() for name in (render.SBOM, render.PROVENANCE)
    )
    assert labels(bill, provenance) in dockerfile
    assert sha256(rendered.directory / render.SBOM) in dockerfile


def test_only_the_label_line_is_removed() -> None:
    line = labels("a", "b")
    assert unlabelled(f"FROM a\n{line}USER 1\n") == "FROM a\nUSER 1\n"
    for other in (f"RUN {line}", line.replace("\n", " && x\n"), line.replace('"\n', '$(x)"\n')):
        assert unlabelled(other) == other


def test_a_digest_of_a_tree_depends_on_names_and_contents() -> None:
    first = tree_digest({"a": "1" * 64, "b": "2" * 64})
    assert first == tree_digest({"b": "2" * 64, "a": "1" * 64})
    assert first != tree_digest({"a": "2" * 64, "b": "1" * 64})


# --- bundles that were edited --------------------------------------------------------------------


def test_documents_do_not_depend_on_readme_and_byte_code(rendered: Bundle) -> None:
    (rendered.directory / "README.md").write_text("mine")
    (rendered.directory / "modelpack" / "serving" / "__pycache__").mkdir()
    (rendered.directory / "modelpack" / "serving" / "__pycache__" / "a.pyc").write_text("x")
    before = (rendered.directory / "Dockerfile").read_bytes()
    assert attestations_bundle.refresh_documents(manifest.read(rendered.path)) == ()
    assert (rendered.directory / "Dockerfile").read_bytes() == before


def append(path: Path) -> None:
    path.write_text(path.read_text() + "# mine\n")


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("app.py", "app.py"),
        ("Dockerfile", "Dockerfile"),
        ("modelpack/serving/playground/__init__.py", "modelpack/serving/"),
        ("code/modelpack_main.py", "code/modelpack_main.py"),
        ("requirements.lock", "requirements.lock"),
    ],
)
def test_edited_bundle_is_recorded_as_edited_without_a_parity_claim(
    rendered: Bundle, name: str, entry: str
) -> None:
    append(rendered.directory / name)
    assert attestations_bundle.refresh_documents(manifest.read(rendered.path)) == (entry,)
    assert attestations_bundle.refresh_documents(manifest.read(rendered.path)) == ()
    predicate = read(rendered, render.PROVENANCE)["predicate"]
    assert predicate["buildDefinition"]["internalParameters"]["edited"] == [entry]
    assert "byproducts" not in predicate["runDetails"]
    assert dependencies(predicate)["base"] == {"sha256": "0" * 64}
    dockerfile = (rendered.directory / "Dockerfile").read_text()
    assert "parity" not in dockerfile.lower()
    documents = ((rendered.directory / n).read_text() for n in (render.SBOM, render.PROVENANCE))
    assert labels(*documents) in dockerfile
    append(rendered.directory / "gunicorn.conf.py")
    attestations_bundle.refresh_documents(manifest.read(rendered.path))
    predicate = read(rendered, render.PROVENANCE)["predicate"]
    edited = predicate["buildDefinition"]["internalParameters"]["edited"]
    assert edited == sorted([entry, "gunicorn.conf.py"])


def test_changed_base_is_recorded_as_edited(rendered: Bundle) -> None:
    read_back = manifest.read(rendered.path)
    for slim in (True, False):
        assert attestations_bundle.refresh_documents(replace(read_back, slim_base=slim)) == (
            "base",
        )
        assert attestations_bundle.refresh_documents(replace(read_back, slim_base=slim)) == ()
        definition = read(rendered, render.PROVENANCE)["predicate"]["buildDefinition"]
        assert definition["externalParameters"]["base"]["slim"] is slim
        assert definition["internalParameters"]["edited"] == ["base"]
    assert "parity" not in (rendered.directory / "Dockerfile").read_text().lower()


@pytest.mark.parametrize("name", [render.SBOM, render.PROVENANCE])
def test_edited_document_is_written_again(rendered: Bundle, name: str) -> None:
    before = read(rendered, render.SBOM)
    path = rendered.directory / name
    path.write_text(path.read_text() + " ")
    assert attestations_bundle.refresh_documents(rendered) == (name,)
    assert read(rendered, render.SBOM) == before
    assert attestations_bundle.refresh_documents(rendered) == ()


@pytest.mark.parametrize("content", ["{", "{}", "[]", '{"predicate": 1}', '{"predicate": {}}'])
def test_a_provenance_that_cannot_be_read_is_a_usage_error(rendered: Bundle, content: str) -> None:
    (rendered.directory / render.PROVENANCE).write_text(content)
    with pytest.raises(UsageError, match="is not a valid provenance"):
        attestations_bundle.refresh_documents(rendered)


def test_bundle_of_an_older_version_has_no_documents_to_refresh(rendered: Bundle) -> None:
    (rendered.directory / render.PROVENANCE).unlink()
    assert attestations_bundle.refresh_documents(replace(rendered, code=Code())) == ()
