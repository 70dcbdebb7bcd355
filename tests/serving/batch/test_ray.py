"""The recipe for Ray in docs/deploy/batch.md, on this machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import serving_models
from pyarrow import parquet
from serving_models import render_bundle

from modelpack import serving
from modelpack.serving import Service

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "docs" / "examples" / "ray_predict.py"


def test_the_page_shows_the_script():
    page = (ROOT / "docs" / "deploy" / "batch.md").read_text()
    (block,) = re.findall(r"<!-- ray -->\n```python\n(.*?)```", page, re.S)
    assert SCRIPT.read_text().endswith(f"\n{block}")


@pytest.mark.slow
def test_ray_returns_the_predictions_of_the_service(tmp_path):
    (tmp_path / "model").mkdir()
    bundle = render_bundle(serving_models.iris(), tmp_path / "model").directory
    numbers = np.random.default_rng(0).normal(4, 1, (25_000, 4))
    columns = {f"x{index}": numbers[:, index] for index in range(4)}
    table = pa.table({"id": np.arange(len(numbers)), **columns})
    rows, predictions = tmp_path / "rows", tmp_path / "predictions"
    rows.mkdir()
    for number in range(3):
        part = table.slice(number * 9_000, 9_000)
        parquet.write_table(part, rows / f"{number}.parquet")
    command = [sys.executable, SCRIPT, bundle, rows, predictions]
    # The paths of sockets there are short, and a folder of Ray would stay.
    with tempfile.TemporaryDirectory(prefix="ray") as folder:
        environ = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": folder}
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, check=False, timeout=300
        )
    assert done.returncode == 0, done.stderr
    found = parquet.read_table(predictions).sort_by("id")
    assert found["id"].to_pylist() == list(range(25_000))
    service = Service.load(bundle)
    client = serving.create_app(service).test_client()
    start = 0
    labels, setosa = found["prediction"].to_pylist(), found["probability_setosa"].to_pylist()
    while start < len(numbers):
        some = numbers[start : start + 1_000].tolist()
        answer = client.post("/predict?probabilities=true", json={"instances": some}).get_json()
        end = start + len(some)
        assert labels[start:end] == answer["predictions"]
        assert setosa[start:end] == [row["setosa"] for row in answer["probabilities"]]
        start = end
