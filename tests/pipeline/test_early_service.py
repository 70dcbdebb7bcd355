"""The service of an unchanged model starts before its image is known; any other one is removed."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modelpack import cache
from modelpack.pipeline import early_service
from modelpack.pipeline.options import Options
from modelpack.pipeline.package import PackageResult, package

pytestmark = [pytest.mark.engine, pytest.mark.slow]

MODEL = Path(__file__).parents[2] / "sample_models" / "iris" / "model.joblib"
TAG, OTHER = "modelpack-test/early:1", "modelpack-test/early:2"
UNIQUE = f"Flowers {time.time_ns()}"


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the smoke test got the service that was started early; empty if none was."""
    found: list[bool] = []
    take = early_service.EarlyService.take

    def observed(self: early_service.EarlyService, target: str) -> Any:
        service = take(self, target)
        found.append(service is not None)
        return service

    monkeypatch.setattr(early_service.EarlyService, "take", observed)
    return found


@pytest.fixture(scope="module")
def image_id() -> Iterator[str]:
    result = packaged()
    assert result.image
    yield result.image.id
    subprocess.run(["docker", "rmi", "--force", TAG, OTHER], check=False, capture_output=True)


def packaged(tag: str = TAG, **options: Any) -> PackageResult:
    result = package([MODEL], Options(tag=tag, engine="docker", **options))
    assert result.smoke
    assert result.smoke.passed
    return result


@pytest.fixture
def remember(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Replace what is remembered of an earlier run: the ids of its image and base image."""
    read = cache.read

    def replace(*ids: str) -> None:
        monkeypatch.setattr(
            cache, "read", lambda kind, name: " ".join(ids) if kind == "built" else read(kind, name)
        )

    return replace


def remaining_containers(engine: Any, *image_ids: str) -> list[str]:
    listed = engine.images.host.client.containers.list(all=True, ignore_removed=True)
    return [each.name for each in listed if each.attrs["Image"] in image_ids]


def test_service_of_an_unchanged_model_starts_early(
    image_id: str, taken: list[bool], engine: Any
) -> None:
    result = packaged()
    assert taken == [True]
    assert result.image
    assert result.image.id == image_id
    assert result.smoke.ready_seconds > 0.3  # since its start, which imports scikit-learn
    assert remaining_containers(engine, image_id) == []


def test_service_of_another_image_is_not_tested(
    image_id: str, taken: list[bool], remember: Any, engine: Any
) -> None:
    """The package index has a new version since the last run, for example."""
    other = packaged(OTHER, title=UNIQUE).image
    assert other
    base = other.labels["org.opencontainers.image.base.name"]
    remember(other.id, engine.images.find(base).id)
    result = packaged()
    assert result.image
    assert result.image.id == image_id
    assert taken == [False]
    assert remaining_containers(engine, image_id, other.id) == []


def test_nothing_starts_early_on_a_new_base_image(
    image_id: str, taken: list[bool], remember: Any
) -> None:
    remember(image_id, "sha256:" + "0" * 64)
    packaged()
    assert taken == []


@pytest.mark.parametrize("options", [{"title": f"More {UNIQUE}"}, {"platform": "linux/amd64"}])
def test_other_options_start_nothing_early(
    options: dict[str, Any], image_id: str, taken: list[bool]
) -> None:
    packaged(**options)
    assert taken == []


def test_nothing_starts_early_without_a_smoke_test(image_id: str, taken: list[bool]) -> None:
    package([MODEL], Options(tag=TAG, engine="docker", smoke=False))
    assert taken == []
