"""MLServer's own `mlserver infer` command, in an environment of its own, against a bundle under
gunicorn: a file of requests in, a file of answers out.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
import serving_models
from clients import environment
from gunicorn_server import serve
from serving_models import render_bundle

ROWS = [[5.1, 3.5, 1.4, 0.2], [6.5, 3.0, 5.5, 2.0], [5.9, 3.0, 4.2, 1.5]]


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    bundle = render_bundle(serving_models.iris(), tmp_path_factory.mktemp("iris"))
    with serve(bundle.directory) as server:
        yield server


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    bundle = render_bundle(serving_models.texts(), tmp_path_factory.mktemp("texts"), "pickle")
    with serve(bundle.directory) as server:
        yield server


def infer(server, folder: Path, requests: list[dict], *options: str) -> list[dict]:
    """Return the output of the command for these requests, in their order."""
    lines = [json.dumps(request) for request in requests]
    (folder / "in.jsonl").write_text("\n".join(lines) + "\n")
    mlserver = environment("mlserver").parent / "mlserver"
    done = subprocess.run(
        [mlserver, "infer", "--url", f"127.0.0.1:{server.port}", "--model-name", "model",
         "--input-data-path", "in.jsonl", "--output-data-path", "out.jsonl",
         "--retries", "1", *options],
        cwd=folder, env={"PATH": os.environ["PATH"], "NO_PROXY": "*"},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    return sorted(answers, key=lambda answer: answer["parameters"]["batch_index"])


def request(row: list[float], *outputs: str, **more) -> dict:
    tensor = {"name": "predict", "shape": [1, 4], "datatype": "FP64", "data": row}
    return {"inputs": [tensor], "outputs": [{"name": name} for name in outputs], **more}


@pytest.mark.parametrize(
    ("options", "batches"),
    [
        ((), [[row] for row in ROWS]),
        (("--batch-size", "2", "--binary-data"), [ROWS[:2], ROWS[2:]]),
    ],
)
def test_a_file_of_requests(iris, tmp_path, options, batches):
    requests = [request(row, "predict_proba") for row in ROWS]
    answers = infer(iris, tmp_path, requests, *options)
    (probabilities,) = zip(*(answer["outputs"] for answer in answers), strict=True)
    predict_proba = serving_models.iris().model.predict_proba
    expected = [row for batch in batches for row in predict_proba(batch).tolist()]
    assert [output["data"] for output in probabilities] == expected
    assert {answer["model_version"] for answer in answers} == {"1"}


def test_texts(texts, tmp_path):
    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["great fun"],
              "parameters": {"content_type": "str"}}  # fmt: skip
    (answer,) = infer(texts, tmp_path, [{"inputs": [tensor], "outputs": [{"name": "predict"}]}])
    assert answer["outputs"][0]["data"] == [True]


def test_labels_and_errors(iris, tmp_path):
    good, bad = request(ROWS[0], "predict", id="mine"), request(ROWS[1], "label")
    first, second = infer(iris, tmp_path, [good, bad])
    assert first["id"] == "mine"
    assert first["outputs"][0]["data"] == ["setosa"]
    assert "one of the outputs predict, predict_proba" in second["error"]["msg"]
