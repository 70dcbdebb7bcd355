"""The public API of the service, as the app.py of a bundle and its author use it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import serving_models
from serving_models import render_bundle

from modelpack import serving
from modelpack.serving.errors import StartupError

ROOT = Path(__file__).parents[2]
ROWS = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render_bundle(serving_models.iris(), tmp_path_factory.mktemp("bundle")).directory


@pytest.fixture(scope="module")
def service(folder: Path) -> serving.Service:
    return serving.Service.load(folder / "app.py")


def test_service_predicts_what_the_route_returns(service: serving.Service) -> None:
    client = serving.create_app(service).test_client()
    body = client.post("/predict?probabilities=true", json={"instances": ROWS}).get_json()
    prediction = service.predict(ROWS, probabilities=True)
    assert list(prediction.predictions) == body["predictions"]
    assert prediction.probabilities is not None
    short = [row[:3] for row in ROWS]
    with pytest.raises(serving.Problem) as caught:
        service.predict(short)
    assert caught.value.status == 422


@pytest.mark.parametrize(
    ("protocols", "served", "missing"),
    [
        (None, ["/predict", "/v2/models/model/infer", "/metrics", "/openapi.json"], []),
        (["predict"], ["/predict", "/healthz", "/readyz"], ["/v2/models/model/infer", "/metrics"]),
        (["v2", "openapi"], ["/v2/models/model/infer", "/openapi.json", "/healthz"], ["/predict"]),
        ([], ["/healthz", "/readyz"], ["/predict", "/", "/signature"]),
    ],
)
def test_only_the_named_protocols_are_served(
    service: serving.Service, protocols: list[str] | None, served: list[str], missing: list[str]
) -> None:
    client = serving.create_app(service, protocols).test_client()
    assert {path for path in served if client.get(path).status_code == 404} == set()
    assert {path for path in missing if client.get(path).status_code != 404} == set()
    if "openapi" in (protocols or []):
        paths = client.get("/openapi.json").get_json()["paths"]
        assert "/predict" not in paths
        assert "/v2/models/{name}/infer" in paths


def test_unknown_protocol_is_an_error_with_the_known_ones(service: serving.Service) -> None:
    with pytest.raises(StartupError, match=r"unknown protocols: v3; known: vertex, predict"):
        serving.create_app(service, ["predict", "v3"])


def test_malformed_token_stops_the_start_before_the_model_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELPACK_TOKEN", "short")
    with pytest.raises(StartupError, match="MODELPACK_TOKEN"):
        serving.Service.load(tmp_path)  # there is no bundle


def test_public_names_are_loaded_on_first_use() -> None:
    code = (
        "import sys, modelpack.serving as serving\n"
        "assert not {'flask', 'numpy'} & set(sys.modules)\n"
        "assert all(getattr(serving, name) for name in serving.__all__)\n"
        "assert 'flask' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    module: ModuleType = serving
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = module.nothing
