"""Arrow and Parquet from strangers, at a real service: nothing grows, nothing breaks."""

from __future__ import annotations

import http.client
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import media_bombs
import pyarrow as pa
import pytest
import serving_models
from gunicorn_server import Server, serve
from media_bombs import (
    ARROW_BOMBS,
    DELTAS,
    GROWING,
    HIDDEN,
    NUMBERS,
    PARQUET_BOMBS,
    STRANGE,
    to_arrow,
    to_parquet,
)
from serving_models import render_bundle

from modelpack.serving.media import arrow, parquet
from modelpack.serving.problems import Problem
from modelpack.serving.settings import Limits

ARROW, PARQUET = arrow.TYPES[0], parquet.TYPES[0]
WRITERS = {ARROW: to_arrow, PARQUET: to_parquet}
ROOM = 150_000  # kB that the worker may allocate in addition


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    bundle = render_bundle(serving_models.texts(), tmp_path_factory.mktemp("texts"))
    with serve(bundle.directory, preload=True, WEB_CONCURRENCY="1") as server:
        yield server


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    bundle = render_bundle(serving_models.mixed(), tmp_path_factory.mktemp("mixed"))
    with serve(bundle.directory, preload=True, WEB_CONCURRENCY="1") as server:
        yield server


def post(server: Server, body: bytes, type_: str) -> tuple[int, str]:
    """Return the status, and the predictions or the error message."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("POST", "/predict", body, {"Content-Type": type_})
    response = connection.getresponse()
    document = json.loads(response.read())
    connection.close()
    return response.status, document.get("detail") or str(document["predictions"])


def peak(server: Server) -> int:
    """kB that the largest worker has ever had."""
    pids = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    status = [Path(f"/proc/{pid}/status").read_text() for pid in pids.split()]
    return max(int(re.findall(r"VmHWM:\s+(\d+)", text)[0]) for text in status)


@pytest.mark.parametrize(
    ("type_", "bombs", "status"),
    [
        (ARROW, ARROW_BOMBS, 413),
        (PARQUET, PARQUET_BOMBS, 413),
        (PARQUET, {"deltas": DELTAS}, 415),
        (ARROW, {"deltas": GROWING}, 415),
        (ARROW, {"compression told as of old": HIDDEN}, 400),
    ],
)
def test_decompression_bomb_is_refused_before_decompression(
    texts: Server, type_: str, bombs: dict[str, bytes], status: int
) -> None:
    good = pa.table({"text": ["good fun"]})
    assert post(texts, WRITERS[type_](good), type_) == (200, "[True]")  # and pyarrow is there
    before = peak(texts)
    answers = {name: post(texts, body, type_)[0] for name, body in bombs.items()}
    assert answers == dict.fromkeys(bombs, status)
    assert peak(texts) - before < ROOM


@pytest.mark.parametrize("name", ["compressed by zstd", "compressed by lz4", "rows of nothing"])
def test_arrow_is_measured_before_it_is_decoded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pa.ipc, "open_stream", lambda _: pytest.fail("it is decoded"))
    with pytest.raises(Problem) as problem:
        arrow.read(SimpleNamespace(limits=Limits()), ARROW_BOMBS[name])
    assert problem.value.status == 413


@pytest.mark.parametrize("type_", WRITERS)
@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_compressed_data_within_the_limit_is_accepted(
    texts: Server, type_: str, compression: str
) -> None:
    table = pa.table({"text": ["good fun", "sad bore"] * 1000})
    status, response = post(texts, WRITERS[type_](table, compression=compression), type_)
    assert (status, response) == (200, str([True, False] * 1000))


@pytest.mark.parametrize("type_", WRITERS)
@pytest.mark.parametrize("kind", STRANGE)
def test_a_column_of_no_inputs_type_is_named(mixed: Server, type_: str, kind: str) -> None:
    table = pa.table({"age": STRANGE[kind], "city": ["Rome"], "visits": [1], "member": [True]})
    status, response = post(mixed, WRITERS[type_](table), type_)
    assert status == 422
    if (type_, kind) != (PARQUET, "lists or records"):  # which are seen before they are read
        assert response.startswith('Column "age": expected ')
        assert response.endswith(f", got {kind}.")


@pytest.mark.parametrize("type_", WRITERS)
@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_of_all_sorts_are_numbers(mixed: Server, type_: str, kind: str) -> None:
    table = pa.table({"age": NUMBERS[kind], "city": ["Rome"], "visits": [1], "member": [True]})
    assert post(mixed, WRITERS[type_](table), type_)[0] == 200


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
@pytest.mark.parametrize("index", [None, pa.uint8(), pa.int64()], ids=str)
def test_texts_of_all_sorts_are_texts(texts: Server, kind: pa.DataType, index: Any) -> None:
    words = pa.array(["good fun", "sad, really, and longer than a view", "good fun"], kind)
    if index is not None:
        codes = pa.array([1, 0, 1], index)
        words = pa.DictionaryArray.from_arrays(codes, words)
    expected = [False, True, False] if index is not None else [True, False, True]
    assert post(texts, to_arrow(pa.table({"text": words})), ARROW) == (200, str(expected))


@pytest.mark.parametrize("type_", WRITERS)
def test_mismatched_values_are_reported_and_missing_ones_are_missing(
    mixed: Server, type_: str
) -> None:
    table = pa.table(
        {
            "member": pa.array([True, None]),
            "visits": [2**60, 3],
            "city": pa.array(["a", None]).dictionary_encode(),
            "age": pa.array([None, 1.5]),
            "__index_level_0__": [7, 8],  # as pandas writes it
        }
    )
    status, response = post(mixed, WRITERS[type_](table), type_)
    assert (status, response) == (422, 'Row 1, column "member": expected true or false, got null.')
    assert post(mixed, WRITERS[type_](table.slice(0, 1)), type_)[0] == 200


@pytest.mark.parametrize("type_", WRITERS)
def test_broken_files_are_refused(texts: Server, type_: str) -> None:
    """Bytes changed, cut off and doubled."""
    chance = random.Random(5)
    table = pa.table({"text": ["good fun", None, "sad"] * 5})
    columns = (table, media_bombs.ALIKE.slice(0, 3), table.slice(1, 2))
    whole = [WRITERS[type_](each, compression="zstd") for each in columns]
    for _ in range(400):
        body = bytearray(chance.choice(whole))
        for _ in range(chance.randint(1, 4)):
            body[chance.randrange(len(body))] = chance.choice([0, 1, 127, 128, 255])
        if chance.random() < 0.2:
            del body[chance.randrange(len(body)) :]
        status, response = post(texts, bytes(body), type_)
        assert status < 500, response
