"""The benchmark of servers parses the output of wrk and computes ratios, claims and tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.serve import plot, report, wrk
from benchmarks.serve.claims import verdicts
from benchmarks.serve.models import BULK, CROWD, CURVE, LONE, MODELS, Load
from benchmarks.serve.results import Failure, Measurement, Results, p99, ratios
from benchmarks.serve.servers import BARE, DIRECT, OURS

WRK = """\
Running 3s test @ http://127.0.0.1:40619/predict
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    17.48ms   22.76ms 170.99ms   90.10%
    Req/Sec     5.44k     1.31k    7.38k    63.33%
  16236 requests in 3.00s, 2.42MB read
  Socket errors: connect 0, read 2, write 0, timeout 1
  Non-2xx or 3xx responses: 7
Requests/sec:   5411.41
Transfer/sec:    824.58KB
{"requests": 16236, "microseconds": 3000335, "p50": 10310, "p99": 112880, "refused": 7, "broken": 3}
"""


def test_output_of_wrk_is_parsed() -> None:
    answers = wrk.parsed(WRK)
    assert answers == wrk.Answers(16236, 3.000335, 10.31, 112.88, refused=7, broken=3)


def test_missing_wrk_is_an_error_with_an_installation_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(SystemExit, match="apt install wrk"):
        wrk.require()


def test_ratios_are_taken_within_a_round() -> None:
    """The machine was half as fast in round 1; round 3 was not finished."""
    found = ratios({0: 200.0, 1: 100.0, 2: 220.0, 3: 1.0}, {0: 100.0, 1: 50.0, 2: 100.0})
    assert found
    assert (found.median, found.least, found.most) == (2.0, 2.0, 2.2)


def measured(server: str, load: Load, rates: tuple[float, ...], **more: float) -> list[Measurement]:
    values = {"p50": 1.0, "p99": 10.0, "errors": 0, "cpu": 0.2, "others": 0.02, **more}
    return [
        Measurement("iris", server, load.name, number, rate, **values)
        for number, rate in enumerate(rates)
    ]


@pytest.fixture
def results() -> Results:
    measurements = [
        *measured(OURS, LONE, (3000, 2000, 3100)),
        *measured(OURS, CROWD, (9000, 9900, 8800), p99=20.0),
        *measured(OURS, BULK, (700_000, 800_000, 750_000)),
        *measured("fastapi", LONE, (1500, 1000, 1500)),
        *measured("fastapi", CROWD, (3000, 3000, 3300), p99=15.0),
        *measured("fastapi", BULK, (600_000, 900_000, 750_000)),
        *measured("bentoml", CROWD, (9999, 9999, 9999), p99=1.0, errors=2),
        *measured(BARE, CROWD, (15_000, 16_500, 15_000)),
        *measured(DIRECT, CROWD, (6000, 6000, 6000), p50=None, p99=None),
        *(each for load in CURVE for each in measured(OURS, load, (5000,))),
        *(each for load in CURVE for each in measured("fastapi", load, (2000,), p99=30.0)),
    ]
    return Results(
        {"processor": "Xeon", "processors": "2", "memory": "8 GiB", "kernel": "Linux", "wrk": "4"},
        {"rounds": 3, "seconds": 2},
        {OURS: "0.1", "fastapi": "0.165", "bentoml": "1.4"},
        tuple(measurements),
        (Failure("iris", "vetiver", "It predicts [1] for the first 1 rows.\nTraceback"),),
    )


def test_the_best_peer_is_one_without_errors(results: Results) -> None:
    assert results.best(("fastapi", "bentoml"), "iris", CROWD, p99) == "fastapi"
    assert results.best(("bentoml",), "iris", CROWD, p99) is None


def test_claims_are_checked_by_the_median_ratio(results: Results) -> None:
    found = {
        (each.claim.load, each.claim.value is p99, each.against): (each.ratio.median, each.is_met)
        for each in verdicts(results)
    }
    assert found == {
        (CROWD, False, "fastapi"): (3.0, True),
        (LONE, False, "fastapi"): (2.0, True),
        (CROWD, True, "fastapi"): (0.75, False),
        (CROWD, False, BARE): (0.6, True),
        (BULK, False, "fastapi"): (1.0, True),
    }


def test_claims_about_a_service_with_errors_are_not_met(results: Results) -> None:
    wrong = measured(OURS, CROWD, (9000, 9000, 9000), errors=1)
    kept = [m for m in results.measurements if (m.server, m.load) != (OURS, CROWD.name)]
    erring = Results(results.machine, results.how, results.versions, (*kept, *wrong), ())
    assert not any(v.is_met for v in verdicts(erring) if v.claim.load == CROWD)


def test_saved_results_are_read_back(results: Results, tmp_path: Path) -> None:
    (tmp_path / "kept.json").write_text(results.json())
    assert Results.read(tmp_path / "kept.json") == results


def test_the_section_is_written_between_its_marks(results: Results, tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text("# Before\n\n<!-- serve -->\nold\n<!-- /serve -->\n\n# After\n")
    report.write(report.section(results, picture=True), document)
    lines = document.read_text().splitlines()
    assert lines[:3] == ["# Before", "", "<!-- serve -->"]
    assert lines[-3:] == ["<!-- /serve -->", "", "# After"]
    assert "old" not in lines
    claim = "iris, 64 connections: rows/s against the best peer, fastapi"
    assert f"| {claim} | ≥ 2.5 | 3.00 (2.67-3.30) | yes |" in lines
    fastapi = next(line for line in lines if line.startswith("| fastapi | "))
    assert fastapi.startswith("| fastapi | 1,500 | 2.00 (2.00-2.07) | 10.0 | 3,000 |")
    assert "2 errors" not in fastapi
    bentoml = next(line for line in lines if line.startswith("| bentoml | "))
    assert "6 errors" in bentoml
    assert "vetiver was left out of iris: It predicts [1] for the first 1 rows." in lines


def test_the_plot_has_a_line_a_server(results: Results, tmp_path: Path) -> None:
    light, dark = plot.draw(results, tmp_path)
    for path in (light, dark):
        drawn = path.read_text()
        assert MODELS["iris"].title in drawn
        assert ">fastapi<" in drawn
        assert f">{OURS}<" in drawn
    assert "#0d1117" in dark.read_text()


def test_the_document_has_the_marks() -> None:
    document = Path(__file__).parents[2] / "docs" / "performance.md"
    lines = document.read_text().splitlines()
    assert lines.count(report.BEGIN) == lines.count(report.END) == 1
