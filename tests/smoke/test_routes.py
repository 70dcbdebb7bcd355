"""Real services, queried by every route of the parity check."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
import serving_models
from gunicorn_server import serve
from serving_models import Trained, build_spec, render_bundle

from modelpack.parity.compare import relative_difference
from modelpack.serving.media import MEDIA
from modelpack.smoke.probe import Probe
from modelpack.smoke.routes import ROUTES, BodyRoute, Route
from modelpack.types import RunningService

ROWS: dict[str, list[list[Any]]] = {
    "iris": [[5.1, 3.5, 1.4, 0.2], [6.5, 3, 5.5, 2.0], [0.1 + 0.2, 1e-300, -0.0, 7]],
    "mixed": [[None, "Rome", 3, True], [30.5, None, 4, False], [1, 'a "b",\nc', 2, True]],
    "scaler": [[1.0, 2.5], [3, 4]],
    "texts": [["good fun"], ["so, \u2028 sad"]],
}


@pytest.fixture(scope="module", params=ROWS)
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Probe, Trained, list[list[Any]]]]:
    trained: Trained = getattr(serving_models, request.param)()
    folder = tmp_path_factory.mktemp(request.param)
    bundle = render_bundle(trained, folder)
    with serve(bundle.directory, preload=True, WEB_CONCURRENCY="1") as server:
        url = f"http://127.0.0.1:{server.port}"
        running = cast("RunningService", SimpleNamespace(url=url, engine="process"))
        probe = Probe(running, build_spec(folder / "saved", trained))
        yield probe, trained, ROWS[request.param]
        probe.close()


@pytest.mark.parametrize(
    "route",
    [route for route in ROUTES if isinstance(route, Route)],
    ids=lambda route: route.name,
)
def test_route_returns_the_prediction_of_the_estimator(
    service: tuple[Probe, Trained, list[list[Any]]], route: Route
) -> None:
    probe, trained, rows = service
    if not route.is_offered(probe):
        assert "gRPC" in route.name
        return
    if not route.supports(probe.model) or not route.can_encode(rows):
        assert "npy" in route.name or "/v2/" in route.name
        return
    answers = route.query(probe, rows)
    groups = [[row] for row in rows] if route.single_row else [rows]
    expected = estimator_values(trained, trained.method, groups)
    assert relative_difference(expected, answers.predictions) == 0.0
    if answers.probabilities is None:
        assert not trained.signature.probabilities or "/v1/" in route.name  # which has none
    else:
        assert (
            relative_difference(
                estimator_values(trained, "predict_proba", groups), answers.probabilities
            )
            == 0.0
        )


class RequestSentError(Exception):
    """The media type of a request that was about to be sent."""


def record_media_type(path: str, body: bytes, content_type: str) -> None:
    raise RequestSentError(content_type.partition(";")[0])


def test_each_media_type_is_sent_by_a_route() -> None:
    signature = serving_models.iris().signature
    model = SimpleNamespace(signature=signature)
    probe = cast("Probe", SimpleNamespace(model=model, post_raw=record_media_type))
    sent = {route.content_type for route in ROUTES if isinstance(route, BodyRoute)}
    for route in ROUTES:
        if isinstance(route, Route) and route.name.startswith("POST /predict"):
            with pytest.raises(RequestSentError) as caught:
                route.query(probe, ROWS["iris"])
            sent.add(str(caught.value))
    assert [medium.TYPES for medium in MEDIA if sent.isdisjoint(medium.TYPES)] == []


def estimator_values(trained: Trained, method: str, groups: list[list[list[Any]]]) -> list[Any]:
    """By the estimator itself: a sum of one row may have other last bits than one of several."""
    call = getattr(trained.model, method)
    return [value for rows in groups for value in call(arranged(trained, rows)).tolist()]


def arranged(trained: Trained, rows: list[list[Any]]) -> Any:
    """As the model's author gives them to it."""
    if trained.signature.layout == "text":
        return [row[0] for row in rows]
    if trained.signature.layout == "frame":
        frame = serving_models.people().iloc[: len(rows)].copy()
        for index, name in enumerate(frame):
            frame[name] = [float("nan") if row[index] is None else row[index] for row in rows]
        return frame
    return rows
