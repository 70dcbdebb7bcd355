"""MLflow's own client, in its own environment, at a real service."""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack
from typing import Any

import clients
import pandas as pd
import pytest
import serving_models
from gunicorn_server import serve
from serving_models import people, render_bundle

IRIS = pd.DataFrame(
    [[5.1, 3.5, 1.4, 0.2], [6.5, 3.0, 5.5, 2.0], [5.9, 3.2, 4.8, 1.8]],
    columns=["x0", "x1", "x2", "x3"],
)


@pytest.mark.slow
def test_every_form_that_its_client_makes(tmp_path_factory: pytest.TempPathFactory) -> None:
    models_and_rows = ((serving_models.iris(), IRIS), (serving_models.mixed(), people()))
    bundles = [
        render_bundle(trained, tmp_path_factory.mktemp("bundle")) for trained, _ in models_and_rows
    ]
    with ExitStack() as stack:
        ports = [
            stack.enter_context(serve(bundle.directory, preload=True, WEB_CONCURRENCY="1")).port
            for bundle in bundles
        ]
        rows = [frame.to_dict("records") for _, frame in models_and_rows]
        answers = query_with_mlflow(dict(zip(map(str, ports), rows, strict=True)))
    for (trained, frame), got in zip(models_and_rows, answers, strict=True):
        model_input = frame if trained.signature.layout == "frame" else frame.to_numpy()
        expected = trained.model.predict(model_input).tolist()
        assert len(got["forms"]) >= 9
        assert got["forms"] == dict.fromkeys(got["forms"], expected)
        assert got["probabilities"] == trained.model.predict_proba(model_input).tolist()
        assert got["as a DataFrame"] == {"0": expected}
        assert got["version"].count(".") == 2


def query_with_mlflow(rows: dict[str, list[Any]]) -> list[dict[str, Any]]:
    done = subprocess.run(
        [clients.environment("mlflow"), clients.DIRECTORY / "ask_mlflow.py"],
        input=json.dumps(rows),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers
