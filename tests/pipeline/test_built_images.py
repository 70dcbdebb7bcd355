"""An image that was built of the same bundle is used again, and never one of another bundle."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import serving_models
from bundle_specs import spec_for
from serving_models import BASE, ENVIRONMENT

from modelpack.attestations.documents import PROVENANCE, PROVENANCE_LABEL, file_sha256
from modelpack.bundle import render
from modelpack.engines import StepEvent
from modelpack.errors import UsageError
from modelpack.pipeline import built_images
from modelpack.pipeline.options import Observer, Options
from modelpack.pipeline.package import package
from modelpack.types import Bundle, Image

SVC = Path(__file__).parents[2] / "sample_models" / "kserve-svc" / "model.joblib"
TAG = "modelpack-test/built-again:1"


class Images:
    """The images of an engine, by id."""

    def __init__(self) -> None:
        self.held: dict[str, Image] = {}

    def find(self, target: str) -> Image:
        if target not in self.held:
            raise UsageError(f"There is no image {target} here.")
        return replace(self.held[target], reference=target)


@pytest.fixture
def engine(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    return SimpleNamespace(name="docker", images=Images())


@pytest.fixture
def bundle(tmp_path) -> Bundle:
    base = replace(BASE, digest="sha256:" + "1" * 64)
    spec = spec_for(tmp_path, serving_models.iris())
    return render.render(spec, ENVIRONMENT, base, tmp_path / "bundle")


def build(engine, bundle: Bundle) -> Image:
    labels = {PROVENANCE_LABEL: file_sha256(bundle.directory / PROVENANCE)}
    image = Image("", "sha256:" + "2" * 64, 1, labels=labels)
    engine.images.held[image.id] = image
    built_images.store(engine, bundle, image)
    return image


def test_image_of_the_same_bundle_is_found(engine, bundle) -> None:
    assert built_images.find(engine, bundle) is None
    image = build(engine, bundle)
    assert built_images.find(engine, bundle) == image


def test_image_of_another_bundle_or_setting_is_not_found(engine, bundle, monkeypatch) -> None:
    build(engine, bundle)
    assert built_images.find(SimpleNamespace(name="podman", images=engine.images), bundle) is None
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    assert built_images.find(engine, bundle) is None
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    provenance = bundle.directory / PROVENANCE
    provenance.write_bytes(provenance.read_bytes() + b"\n")
    assert built_images.find(engine, bundle) is None


def test_removed_or_foreign_image_is_not_found(engine, bundle) -> None:
    image = build(engine, bundle)
    engine.images.held[image.id] = replace(image, labels={PROVENANCE_LABEL: "3" * 64})
    assert built_images.find(engine, bundle) is None
    engine.images.held.clear()
    assert built_images.find(engine, bundle) is None


def test_bundle_on_a_base_of_unknown_content_is_always_built(engine, tmp_path) -> None:
    spec = spec_for(tmp_path, serving_models.iris())
    bundle = render.render(spec, ENVIRONMENT, replace(BASE, digest=None), tmp_path / "bundle")
    build(engine, bundle)
    assert built_images.find(engine, bundle) is None


class Steps(Observer):
    def __init__(self) -> None:
        self.events: list[StepEvent] = []

    def step(self, event: StepEvent) -> None:
        self.events.append(event)


@pytest.mark.engine
@pytest.mark.slow
def test_unchanged_model_is_packaged_without_a_build() -> None:
    ids, steps = [], []
    try:
        for is_removed in (False, False, True):
            if is_removed:
                subprocess.run(
                    ["docker", "rmi", "--force", ids[-1]], check=True, capture_output=True
                )
            observer = Steps()
            result = package([SVC], Options(tag=TAG, smoke=False, engine="docker"), observer)
            ids.append(result.image.id)
            steps.append(len(observer.events))
    finally:
        subprocess.run(["docker", "rmi", "--force", TAG], check=False, capture_output=True)
    assert len(set(ids)) == 1
    assert steps[1] == 0
    assert steps[2] > 0
