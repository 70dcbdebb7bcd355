"""Each check passes on a service that behaves and fails on one with a single fault."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from modelpack.cli import commands
from modelpack.errors import SmokeFailedError, UsageError
from modelpack.parity.compare import relative_difference
from modelpack.pipeline.options import Options
from modelpack.pipeline.smoke import require_passed
from modelpack.smoke import checks, reports, smoke
from modelpack.smoke import load as load_module
from modelpack.smoke import probe as probe_module
from modelpack.smoke.probe import Probe
from modelpack.smoke.routes import ROUTES
from modelpack.types import (
    Answers,
    Check,
    Field,
    ModelFile,
    ModelSpec,
    Parity,
    Reference,
    Ruling,
    Safety,
    Signature,
    SmokeReport,
    Violation,
    from_json,
    to_json,
)

MODEL = ModelSpec(
    file=ModelFile("model/model.pkl", "00" * 32, 1, "raw", 4, "pickle"),
    format="pickle",
    framework="scikit-learn",
    framework_version="1.3.2",
    python=None,
    task="classifier",
    estimator="sklearn.svm._classes.SVC",
    steps=(),
    method="predict",
    requirements={},
    versions={},
    local_modules=(),
    signature=Signature(
        inputs=(Field("size", "number", example=1.5), Field("kind", "string", example="a")),
        outputs=(Field("prediction", "integer"),),
        classes=(0, 1),
        probabilities=True,
    ),
    safety=Safety("pass"),
)


@dataclass
class Fake:
    """A service of the test's own making, and the faults that it has."""

    faults: set[str] = field(default_factory=set)
    target: str = "fake:1"
    engine: str = "docker"
    url: str = ""
    polls: int = 0
    calls: int = 0
    is_measured: bool = False
    largest_body: int = 0

    def logs(self) -> str:
        if "not ready" in self.faults:
            return (
                '{"level": "info", "message": "noise"}\n'
                '{"level": "error", "message": "no example", "cause": "Traceback:\\nKeyError: 3"}\n'
                '{"level": "info", "message": "noise"}\n'
            )
        return "ImportError: no module named shop"

    def user_id(self) -> int | None:
        if "no user" in self.faults:
            return None
        return 0 if "root" in self.faults else 65532

    def health(self) -> str | None:
        self.polls += 1
        if "no healthcheck" in self.faults:
            return None
        if "unhealthy" in self.faults:
            return "unhealthy"
        return "starting" if self.polls < 3 else "healthy"

    def memory_bytes(self) -> int | None:
        return 42_000_000 + self.largest_body

    def cpu_seconds(self) -> float | None:
        """Return 1 ms for each prediction, and 0.02 s at the start."""
        return 0.02 + self.calls / 1000 if self.is_measured else None

    def is_running(self) -> bool:
        return "dead" not in self.faults

    def stop(self, timeout: float) -> int:
        return 137 if "killed" in self.faults else 0

    # Its response: status, content type, body.
    def answer(self, method: str, path: str, body: bytes) -> tuple[int, str, Any]:
        self.largest_body = max(self.largest_body, len(body))
        if path in {"/readyz", "/metrics"}:
            ready = (200, "text/plain", "modelpack_workers 3.0\n")
            return self.problem(503) if "not ready" in self.faults else ready
        if other := self.others.get(path):
            return 200, "application/json", other(body)
        if path.partition("?")[0] != "/predict":
            return self.problem(404)
        if method == "GET":
            return self.problem(200 if "get predicts" in self.faults else 405)
        if "crashes on bad JSON" not in self.faults and body == b'{"instances": [':
            return self.problem(400)
        return self.predict(path, body)

    def problem(self, status: int) -> tuple[int, str, Any]:
        html = "html errors" in self.faults
        return status, "text/html" if html else "application/problem+json", {"status": status}

    @property
    def others(self) -> dict[str, Callable[[bytes], dict[str, Any]]]:
        """The routes of other dialects."""
        return {
            "/v1/models": lambda _: {"models": ["m"]},
            "/v1/models/m:predict": self.v1,
            "/v2/models/m/infer": self.v2,
        }

    def v1(self, body: bytes) -> dict[str, Any]:
        label = 0 if "v1 differs" in self.faults else 1
        return {"predictions": [label for _ in json.loads(body)["instances"]]}

    def v2(self, body: bytes) -> dict[str, Any]:
        count = json.loads(body)["inputs"][0]["shape"][0]
        quarter = 0.5 if "v2 differs" in self.faults else 0.25
        return {
            "outputs": [
                {"name": "predict", "shape": [count], "data": [1] * count},
                {"name": "predict_proba", "shape": [count, 2], "data": [quarter, 0.75] * count},
            ]
        }

    def predict(self, path: str, body: bytes) -> tuple[int, str, Any]:
        try:
            document = json.loads(body)
            rows = document.get("instances", [document])
        except ValueError:
            return 500, "text/html", {}
        if not rows and "empty is fine" not in self.faults:
            return self.problem(422)
        for row in rows:
            values = [row.get("size"), row.get("kind")] if isinstance(row, dict) else row
            if len(row) != 2 or not isinstance(values[1], str):
                return self.problem(422)
            if not isinstance(values[0], float):
                return self.problem(500 if "500 on a word" in self.faults else 422)
        return 200, "application/json", self.predictions(path, rows)

    def predictions(self, path: str, rows: list[Any]) -> dict[str, Any]:
        named = bool(rows) and isinstance(rows[0], dict)
        label = 7 if "unknown class" in self.faults else 1
        self.calls += 1
        if "random" in self.faults:
            label = self.calls % 2
        if named and "order of names matters" in self.faults:
            label = 0
        document: dict[str, Any] = {"predictions": [label for _ in rows]}
        if "two for one" in self.faults:
            document["predictions"] *= 2
        if "one for two" in self.faults:
            document["predictions"] = document["predictions"][:1]
        if "no number" in self.faults:
            document["predictions"] = ["high" for _ in rows]
        if "nan" in self.faults:
            document["predictions"] = [None for _ in rows]
        if "probabilities=true" in path:
            total = 0.5 if "sum of a half" in self.faults else 0.75
            total += 1e-12 if "last bits" in self.faults else 0.0
            document["probabilities"] = [{"0": 0.25, "1": total} for _ in rows]
        if len(rows) == 1 and "one row differs" in self.faults:
            document["predictions"] = [0]
        return document


@contextmanager
def running(*faults: str) -> Iterator[Fake]:
    fake = Fake(set(faults))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one packet an answer: no waiting for delayed acknowledgements

        def do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            status, kind, body = fake.answer(self.command, self.path, self.rfile.read(length))
            data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", kind or "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_service_that_behaves_passes_every_check() -> None:
    seen: list[Check] = []
    with running() as fake:
        report = smoke(fake, MODEL, on_check=seen.append)
    assert report.passed, report
    assert [check.name for check in report.checks] == [
        "ready",
        "prediction",
        "named rows",
        "probabilities",
        "bad input",
        "user",
        "health",
        "shutdown",
    ]
    assert tuple(seen) == report.checks
    assert 42_000_000 < report.memory_bytes < 42_001_000
    assert report.latency_ms is not None
    assert report.ready_seconds is not None


@pytest.mark.parametrize(
    ("fault", "check", "message"),
    [
        ("two for one", "prediction", "2 predictions for one row"),
        ("one for two", "prediction", "1 prediction for 2 rows"),
        ("unknown class", "prediction", "7 is not one of the classes"),
        ("order of names matters", "named rows", "by name [0], by position [1]"),
        ("random", "named rows", "predicts the same row differently each time: [0], then [1]"),
        ("sum of a half", "probabilities", "0.75"),
        ("crashes on bad JSON", "bad input", "status 500 instead of 400"),
        ("empty is fine", "bad input", "no rows: status 200 instead of 422"),
        ("500 on a word", "bad input", "text instead of a number: status 500 instead of 422"),
        ("get predicts", "bad input", "wrong method: status 200 instead of 405"),
        ("html errors", "bad input", "text/html"),
        ("root", "user", "user id 0"),
        ("no user", "user", "cannot be read"),
        ("unhealthy", "health", "unhealthy"),
        ("no healthcheck", "health", "no HEALTHCHECK"),
        ("killed", "shutdown", "exit code 137"),
    ],
)
def test_one_fault_fails_one_check(fault: str, check: str, message: str) -> None:
    with running(fault) as fake:
        report = smoke(fake, MODEL)
    failed = [result for result in report.checks if not result.passed]
    assert [result.name for result in failed] == [check], failed
    assert message in failed[0].detail


def test_random_predictions_are_named_as_the_cause() -> None:
    with running("random") as fake:
        report = smoke(fake, MODEL)
    with pytest.raises(SmokeFailedError, match="same row differently each time") as caught:
        require_passed(report)
    assert "random_state" in caught.value.hint


def test_service_that_dies_fails_at_once_with_its_last_lines() -> None:
    with running("dead") as fake:
        report = smoke(fake, MODEL)
    first, *others = report.checks
    assert (first.name, first.status) == ("ready", "failed")
    assert "no module named shop" in first.detail
    assert {check.status for check in others} == {"not run"}
    assert {check.reason for check in others} == {"the service was not ready"}
    assert "prediction" in {check.name for check in others}
    assert (report.passed, report.status) == (False, "failed")


def test_service_that_reports_not_ready_fails_at_once_with_the_cause() -> None:
    with running("not ready") as fake:
        report = smoke(fake, MODEL)
    assert [check.name for check in report.checks if check.status == "failed"] == ["ready"]
    assert report.checks[0].detail == "/readyz returned 503:\nno example: KeyError: 3"
    assert report.checks[0].seconds < 5


def test_a_local_process_is_spared_the_checks_of_a_container() -> None:
    with running("root", "unhealthy") as fake:
        fake.engine = "process"
        report = smoke(fake, MODEL)
    assert report.passed
    assert {"user", "health"}.isdisjoint(check.name for check in report.checks)


UNKNOWN = replace(MODEL, signature=replace(MODEL.signature, inputs=()))
HALF_KNOWN = replace(
    MODEL,
    signature=replace(
        MODEL.signature, inputs=(MODEL.signature.inputs[0], Field("born", "datetime"))
    ),
)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (UNKNOWN, "the model file does not contain what a row looks like"),
        (HALF_KNOWN, "no value is known for the input born"),
    ],
)
def test_a_service_whose_rows_are_unknown_is_untested_and_fails_nothing(
    model: ModelSpec, reason: str
) -> None:
    with running() as fake:
        report = smoke(fake, model)
    reasons = {check.name: check.reason for check in report.checks if check.status == "not run"}
    assert reasons == dict.fromkeys(("prediction", "named rows", "probabilities"), reason)
    assert not [check for check in report.checks if check.status == "failed"]
    bad = next(check for check in report.checks if check.name == "bad input")
    assert bad.detail == ("malformed JSON 400, no rows 422, wrong method 405, unknown route 404")
    assert (report.passed, report.status, report.untested) == (False, "untested", reason)
    assert to_json(report)["status"] == "untested"


REGRESSOR = replace(
    MODEL,
    task="regressor",
    signature=replace(MODEL.signature, classes=None, probabilities=False),
)


def test_a_regressor_that_predicts_a_text_fails() -> None:
    with running("no number") as fake:
        report = smoke(fake, REGRESSOR)
    (failed,) = [check for check in report.checks if check.status == "failed"]
    assert (failed.name, failed.detail) == (
        "prediction",
        "a regressor predicts a number, not 'high'",
    )


def test_missing_prediction_fails_for_a_real_row_and_is_untested_for_a_synthetic_row() -> None:
    with running("nan") as fake:
        report = smoke(fake, REGRESSOR, Reference((), made_up=True))
        real = smoke(fake, REGRESSOR, Reference(()))
    assert (report.status, real.status) == ("untested", "failed")
    assert "no prediction for the row generated" in report.untested


@pytest.mark.parametrize(
    ("milliseconds", "least", "most"),
    [(10, 2**16, 2**18), (150, 0, 2**10)],
)
def test_load_is_measured_at_rest_and_under_requests(
    monkeypatch: pytest.MonkeyPatch, milliseconds: int, least: int, most: int
) -> None:
    """The clock advances with the requests, because how many fit in its time is in question."""
    with running() as fake:
        fake.is_measured = True
        now = lambda: fake.calls * milliseconds / 1000  # noqa: E731
        for module in (load_module, probe_module):
            monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=now, perf_counter=now))
        report = smoke(fake, MODEL)
    load = report.load
    assert load is not None
    assert (load.workers, load.rest_bytes) == (3, 42_000_000)
    assert least < load.peak_bytes - 42_000_000 < most, "bodies of as many rows as the time allows"
    assert load.requests >= 20
    assert load.cpu_seconds == pytest.approx(load.requests / 1000)
    assert load.requests_per_core == pytest.approx(1000)
    assert from_json(SmokeReport, to_json(report)) == report


def test_load_is_not_measured_without_rows_or_counters() -> None:
    with running() as fake:
        assert smoke(fake, MODEL).load is None
        fake.is_measured = True
        assert smoke(fake, UNKNOWN).load is None


@pytest.mark.parametrize("name", ["user_id", "health"])
def test_program_in_the_container_starts_before_the_turn_of_its_check(name: str) -> None:
    with running() as fake:
        is_started = threading.Event()
        program, predictions = getattr(fake, name), fake.predictions
        setattr(fake, name, lambda: is_started.set() or program())
        fake.predictions = lambda *given: predictions(*given) if is_started.wait(5) else {}
        report = smoke(fake, MODEL)
    assert report.passed
    names = [check.name for check in report.checks]
    assert names.index("prediction") < names.index("user") < names.index("health")


def test_measurements_of_an_earlier_test_are_reported_again() -> None:
    with running() as fake:
        fake.is_measured = True
        earlier = smoke(fake, MODEL)
        sent = fake.calls
        report = smoke(fake, MODEL, measured=earlier)
    assert fake.calls - sent < load_module.MIN_REQUESTS, "the load was measured again"
    assert report.passed
    numbers = ("latency_ms", "memory_bytes", "load")
    assert [getattr(report, name) for name in numbers] == [
        getattr(earlier, name) for name in numbers
    ]


RULINGS = (
    Ruling("user", ("CIS 4.1",)),
    Ruling("set-user-ID", ("CIS 4.8",), tuple(Violation(f"bin/{n}", "is") for n in range(15))),
)


def test_image_rules_are_checked_before_the_service_stops() -> None:
    with running() as fake:
        report = smoke(fake, MODEL, scanned=lambda: RULINGS[:1])
    assert report.passed
    assert [check.name for check in report.checks][-2:] == ["image", "shutdown"]
    assert report.rulings == RULINGS[:1]
    with running() as fake:
        report = smoke(fake, MODEL, scanned=lambda: RULINGS)
    (failed,) = [check for check in report.checks if not check.passed]
    lines = failed.detail.splitlines()
    assert lines[0] == "set-user-ID (CIS 4.8): bin/0 is"
    assert (len(lines), lines[-1]) == (13, "and 3 more")
    assert to_json(report)["rulings"][0] == {
        "rule": "user",
        "sources": ["CIS 4.1"],
        "violations": [],
    }
    assert from_json(SmokeReport, to_json(report)) == report


def test_an_image_that_cannot_be_read_fails_its_check() -> None:
    def scanned() -> tuple[Ruling, ...]:
        raise UsageError("A layer of the image is damaged.")

    with running() as fake:
        report = smoke(fake, MODEL, scanned=scanned)
    (failed,) = [check for check in report.checks if not check.passed]
    assert (failed.name, failed.detail) == ("image", "A layer of the image is damaged.")


def test_probabilities_are_not_requested_from_a_model_without_them() -> None:
    silent = replace(MODEL, signature=replace(MODEL.signature, probabilities=False))
    with running("sum of a half") as fake:
        assert smoke(fake, silent).passed


# --- reports -------------------------------------------------------------------------------------

REPORT = SmokeReport(
    "svc:1",
    "docker",
    (
        Check("ready", True, 0.5, "fine"),
        Check("user", False, 0.25, "\x1b[31m<root> & \x00"),
        Check("prediction", False, 0.0, "", reason="no row <is> known"),
    ),
)


def test_the_json_report_is_the_value(tmp_path: Path) -> None:
    reports.write_json(REPORT, tmp_path / "report.json")
    document = json.loads((tmp_path / "report.json").read_text())
    assert document["passed"] is False
    assert document["checks"][1] == {
        "name": "user",
        "passed": False,
        "seconds": 0.25,
        "detail": "\x1b[31m<root> & \x00",
        "reason": "",
        "status": "failed",
    }
    assert document["status"] == "failed"
    assert [check["status"] for check in document["checks"]] == ["passed", "failed", "not run"]
    assert document["checks"][2]["reason"] == "no row <is> known"
    assert from_json(SmokeReport, document) == REPORT
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_the_junit_report_counts_and_stays_well_formed(tmp_path: Path) -> None:
    reports.write_junit(REPORT, tmp_path / "report.xml")
    root = ET.parse(tmp_path / "report.xml").getroot()
    suite = root.find("testsuite")
    assert suite is not None
    counts = {name: suite.get(name) for name in ("tests", "failures", "skipped", "time")}
    assert counts == {"tests": "3", "failures": "1", "skipped": "1", "time": "0.750"}
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    assert cases["ready"].find("failure") is None
    assert cases["user"].findtext("failure") == "\ufffd[31m<root> & \ufffd"
    skipped = cases["prediction"].find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "no row <is> known"
    assert cases["prediction"].find("failure") is None


@pytest.mark.parametrize("write", [reports.write_json, reports.write_junit])
def test_unwritable_report_is_a_usage_error(
    write: Callable[[SmokeReport, Path], None], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        write(REPORT, tmp_path)


def test_reports_of_a_failed_smoke_test_are_written(tmp_path: Path) -> None:
    with pytest.raises(SmokeFailedError):
        commands._conclude(REPORT, Options(), tmp_path / "report.json", tmp_path / "report.xml")
    assert json.loads((tmp_path / "report.json").read_text())["passed"] is False
    assert 'failures="1"' in (tmp_path / "report.xml").read_text()


def test_directory_of_a_report_is_created(tmp_path: Path) -> None:
    reports.write_junit(REPORT, tmp_path / "build" / "reports" / "smoke.xml")
    assert [path.name for path in tmp_path.rglob("*.*")] == ["smoke.xml"]


ROWS = ((1.5, "a"), (2.5, "b"))
ANSWERS = Answers((1, 1), ([0.25, 0.75], [0.25, 0.75]))
REFERENCE = Reference(ROWS, ANSWERS, ANSWERS, "record")


JSON_NAMES = {
    "POST /predict, lists",
    "POST /predict, rows by name",
    "POST /predict, one row",
    "POST /v1/models/M:predict, lists",
    "POST /v2/models/M/infer, tensors by name",
}
"""Routes that the fake understands; test_routes.py sends all routes to real services."""

JSON_ROUTES = tuple(route for route in ROUTES if route.name in JSON_NAMES)


def parity(reference: Reference, *faults: str) -> tuple[Check, Parity | None]:
    with running(*faults) as fake, pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks.parity, "ROUTES", JSON_ROUTES)
        report = smoke(fake, MODEL, reference)
    return next(check for check in report.checks if check.name == "parity"), report.parity


def test_unsent_pandas_files_are_reported() -> None:
    check, _ = parity(replace(REFERENCE, without_bodies="ValueError: no JSON"))
    assert check.passed
    assert check.detail.endswith("; without files of pandas, which failed: 'ValueError: no JSON'")


def test_equal_answers_by_every_route_are_parity() -> None:
    check, found = parity(REFERENCE)
    assert check.passed
    assert check.detail.startswith(
        "2 rows on 5 routes, equal bit for bit to the predictions recorded"
    )
    assert found is not None
    assert (found.source, found.rows, found.largest_difference) == ("record", 2, 0.0)
    assert found.routes == (
        "POST /predict, lists",
        "POST /predict, rows by name",
        "POST /predict, one row",
        "POST /v1/models/M:predict, lists",
        "POST /v2/models/M/infer, tensors by name",
    )


@pytest.mark.parametrize(
    ("again", "passed"),
    [(REFERENCE, True), (replace(REFERENCE, rows=ROWS[:1]), False), (None, False)],
)
def test_model_is_queried_again_before_answers_of_an_earlier_test_count_as_wrong(
    again: Reference | None, passed: bool
) -> None:
    others = Answers((0, 0), ANSWERS.probabilities)
    earlier = Reference(ROWS, others, others)
    queries: list[None] = []

    def answered_again() -> Reference | None:
        queries.append(None)
        return again

    with running() as fake, pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks.parity, "ROUTES", JSON_ROUTES)
        report = smoke(fake, MODEL, earlier, answered_again=answered_again)
        same = smoke(fake, MODEL, REFERENCE, answered_again=answered_again)
    assert (report.parity.passed, len(queries)) == (passed, 1)
    assert report.passed is passed
    assert same.passed


def test_answers_are_awaited_after_the_service_is_ready() -> None:
    seen: list[Check] = []
    completed_checks: list[str] = []

    def expected_reference() -> Reference:
        completed_checks.extend(check.name for check in seen)
        return REFERENCE

    with running() as fake, pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks.parity, "ROUTES", JSON_ROUTES)
        report = smoke(fake, MODEL, Reference(ROWS), expected_reference, on_check=seen.append)
    assert report.parity is not None
    assert report.parity.passed
    assert completed_checks[:2] == ["ready", "prediction"]


def test_probabilities_are_not_requested_from_a_route_without_them() -> None:
    only = Answers(None, ANSWERS.probabilities)
    check, found = parity(replace(REFERENCE, answers=only, alone=only))
    assert check.passed
    assert found is not None
    assert len(found.routes) == 4
    assert not any("/v1/" in route for route in found.routes)
    neither = Answers(None, None)
    check, _ = parity(replace(REFERENCE, answers=neither, alone=neither))
    assert not check.passed


@pytest.mark.parametrize(
    ("reference", "fault", "message"),
    [
        (
            replace(REFERENCE, answers=Answers((1, 0))),
            "",
            "row 1, prediction: 1 instead of 0 as",
        ),
        (replace(REFERENCE, answers=Answers(("1", 1))), "", "row 0, prediction: 1 instead of '1'"),
        (replace(REFERENCE, answers=Answers((1,))), "", "2 prediction for 1 rows"),
        (REFERENCE, "order of names matters", "(POST /predict, rows by name)"),
        (REFERENCE, "one row differs", "(POST /predict, one row)"),
        (REFERENCE, "v1 differs", "(POST /v1/models/M:predict, lists)"),
        (REFERENCE, "v2 differs", "(POST /v2/models/M/infer, tensors by name)"),
        (REFERENCE, "last bits", "--tolerance 1e-11 accepts it"),
        (replace(REFERENCE, problem="no module named shop"), "", "no module named shop"),
    ],
)
def test_one_difference_is_no_parity(reference: Reference, fault: str, message: str) -> None:
    check, found = parity(reference, fault)
    assert not check.passed
    assert message in check.detail
    assert found is None or not found.passed


def test_tolerance_accepts_the_last_bits_and_is_reported() -> None:
    check, found = parity(replace(REFERENCE, tolerance=1e-9), "last bits")
    assert check.passed
    assert "within 1e-09" in check.detail
    assert found is not None
    assert 0 < (found.largest_difference or 0) < 1e-11


def test_without_rows_there_is_nothing_to_compare() -> None:
    with running() as fake:
        report = smoke(fake, MODEL, Reference(()))
    assert report.passed
    assert report.parity is None
    assert "parity" not in {check.name for check in report.checks}


@pytest.mark.parametrize(
    ("expected", "got", "difference"),
    [
        (1, 1, 0.0),
        (1, 1.0, 0.0),
        (0.1 + 0.2, 0.3, 0.1 + 0.2 - 0.3),
        (2.0**996, 2.0**996 * (1 - 2**-53), 2**-53),
        (1e-20, 2e-20, 1e-20),
        (0.0, -0.0, 5e-324),
        (0, -0.0, 0.0),
        (None, float("nan"), 0.0),
        (None, 0.0, float("inf")),
        (True, 1, float("inf")),
        ("1", 1, float("inf")),
        ("a", "a", 0.0),
        ([1, [2.0, "x"]], [1, (2.0, "x")], 0.0),
        ([1, 2], [1], float("inf")),
        ([1.0, 2.0], [1.0, 2.5], 0.2),
        ([], [], 0.0),
        (-1e308, 1e308, float("inf")),
    ],
)
def test_relative_difference_of_two_answers(
    expected: object, got: object, difference: float
) -> None:
    assert relative_difference(expected, got) == pytest.approx(difference, rel=1e-9, abs=0)
    assert relative_difference(got, expected) == pytest.approx(difference, rel=1e-9, abs=0)


def test_an_input_that_may_be_missing_is_not_left_out_as_bad_input() -> None:
    first, second = MODEL.signature.inputs
    signature = replace(MODEL.signature, inputs=(replace(first, nullable=True), second))
    with running() as fake:
        probe = Probe(fake, replace(MODEL, signature=signature))
        assert probe.required_input() == "kind"
        probe.close()
