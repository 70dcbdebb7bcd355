"""Answers of an earlier test are used for the same image and the same rows only."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from modelpack.engines.protocol import AnswerFuture
from modelpack.errors import SmokeFailedError
from modelpack.pipeline import answers
from modelpack.types import Reference

ROWS = Reference(((1.0,), (2.0,)))
IMAGE = "sha256:" + "1" * 64


class Sandbox:
    """Runs a model that returns `label` for each row, or fails."""

    def __init__(self) -> None:
        self.label, self.queries = 1, 0
        self.error: SmokeFailedError | None = None
        self.may_start = threading.Event()
        self.may_start.set()

    @contextmanager
    def query_model(self, _: str, request: bytes) -> Iterator[AnswerFuture]:
        assert self.may_start.wait(20)
        self.queries += 1
        rows = json.loads(request)["rows"]
        part = {"predictions": [self.label for _ in rows], "probabilities": None}
        document = {"together": part, "alone": part, "errors": [None for _ in rows]}

        def response() -> bytes:
            if self.error:
                raise self.error
            return json.dumps(document).encode()

        yield response


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return Sandbox()


def query(
    sandbox: Sandbox, image: str = IMAGE, rows: Reference = ROWS, *, reuse: bool = True
) -> Reference:
    with answers.query(sandbox, image, rows, concurrent=True, reuse=reuse) as expected:
        return expected.answers()


def test_second_test_of_an_image_runs_no_sandbox(sandbox: Sandbox) -> None:
    first = query(sandbox)
    assert first.answers.predictions == (1, 1)
    assert query(sandbox) == first
    assert sandbox.queries == 1


def test_other_rows_images_and_commands_query_the_model(sandbox: Sandbox) -> None:
    query(sandbox)
    assert len(query(sandbox, rows=Reference(((3.0,),))).rows) == 1
    query(sandbox, image="sha256:" + "2" * 64)
    query(sandbox, reuse=False)
    assert sandbox.queries == 4


def test_failure_is_not_kept(sandbox: Sandbox) -> None:
    sandbox.error = SmokeFailedError("it was ended")
    assert "does not respond" in query(sandbox).problem
    sandbox.error = None
    assert query(sandbox).problem == ""


def test_model_is_queried_again_on_request(sandbox: Sandbox) -> None:
    query(sandbox)
    with answers.query(sandbox, IMAGE, ROWS, concurrent=True, reuse=True) as expected:
        assert expected.again() is None, "it gives the same answers"
        sandbox.error = SmokeFailedError("it was ended")
        assert expected.again() is None
        sandbox.error, sandbox.label = None, 2
        assert expected.again().answers.predictions == (2, 2)
    assert query(sandbox).answers.predictions == (2, 2)
    assert sandbox.queries == 4


def test_service_starts_while_the_sandbox_is_created(sandbox: Sandbox) -> None:
    sandbox.may_start.clear()
    with answers.query(sandbox, IMAGE, ROWS, concurrent=True, reuse=False) as expected:
        sandbox.may_start.set()  # what starts the service is here
        assert expected.answers().answers.predictions == (1, 1)
