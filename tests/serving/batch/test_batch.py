"""`predict` without a service: the answers of requests, bit for bit, over any number of chunks."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import serving_models
from batch_runs import ForkedImage, Run, environ, image
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from serving_models import render_bundle

from modelpack.pipeline import predict as pipeline_predict
from modelpack.serving import app as serving_app
from modelpack.serving.batch import command, files, streams
from modelpack.serving.batch import predict as batch_predict
from modelpack.serving.batch.files import FORMATS
from modelpack.serving.batch.files import csv as csv_file
from modelpack.serving.batch.predict import BatchOptions
from modelpack.serving.data import json_body
from modelpack.serving.protocols import PROTOCOLS
from modelpack.serving.service import Service

MODELS = {
    "iris": "joblib",
    "mixed": "joblib",
    "texts": "pickle",
    "scaler": "pickle",
    "strict": "joblib",
    "stubborn": "pickle",
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """The bundles of all models by name."""
    return {
        name: render_bundle(getattr(serving_models, name)(), tmp_path_factory.mktemp(name), format_)
        .directory
        for name, format_ in MODELS.items()
    }  # fmt: skip


@pytest.fixture(scope="module")
def services(folders) -> dict[tuple[str, int], Service]:
    return {}


@pytest.fixture
def predict(folders, services):
    """Answers the bytes of a file in chunks of `rows`, as the command does."""

    def run(name: str, data: bytes, rows: int = 2, to: str | None = None, **options):
        if (name, rows) not in services:
            services[name, rows] = command.load_service(folders[name], rows)
        service = services[name, rows]
        return Run(service, data, to, BatchOptions(**options))

    return run


@pytest.fixture(scope="module")
def client(folders):
    def create_client(name: str):
        app = serving_app.empty_app()
        service = Service.load(folders[name])
        for dialect in PROTOCOLS:
            app.register_blueprint(dialect.routes(service))
        return app.test_client()

    return create_client


PEOPLE = [[20, "Rome", 1, True], [None, "Oslo", 2, False], [60.5, None, 3, True], [1, "a", 4, True]]
FLOWERS = np.random.default_rng(0).normal(3, 1, (5, 4)).round(3)


def json_lines(rows) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


# --- answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "rows", "probabilities"),
    [
        ("iris", FLOWERS.tolist(), True),
        ("mixed", PEOPLE, True),
        ("texts", [["good fun"], ["a sad \"bore\",\nreally"], [""]], True),
        ("scaler", [[1.5, 2], [3, 4e-7], [0.1, 0.2]], False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["csv", "jsonl", "json"])
def test_each_chunk_is_answered_as_a_request_bit_for_bit(
    kind, name, rows, probabilities, *, predict, client
):
    http_client = client(name)
    query = "?probabilities=true" if probabilities else ""
    expected = []
    for start in range(0, len(rows), 2):
        answer = http_client.post("/predict" + query, json=rows[start : start + 2]).get_json()
        names = ["prediction", "probabilities"][: 1 + probabilities]
        columns = [answer["predictions"], answer.get("probabilities")][: len(names)]
        expected += [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    done = predict(name, encoded(kind, rows, name), to="jsonl", probabilities=probabilities)
    assert done.lines == expected


def encoded(kind: str, rows: list, name: str) -> bytes:
    if kind == "jsonl":
        return json_lines(rows)
    if kind == "json":
        return json.dumps({"instances": rows}).encode()
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([field.name for field in getattr(serving_models, name)().signature.inputs])
    for row in rows:
        writer.writerow([json.dumps(v) if isinstance(v, bool) else v for v in row])
    return text.getvalue().encode()


def test_all_formats_give_the_same_answers(predict, tmp_path):
    data = {"npy": tmp_path / "a.npy", "parquet": tmp_path / "a.parquet"}
    np.save(data["npy"], FLOWERS)
    table = pa.table({f"x{index}": FLOWERS[:, index] for index in reversed(range(4))})
    parquet.write_table(table, data["parquet"])
    answers = [predict("iris", path.read_bytes(), to="csv").text for path in data.values()]
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    answers.append(predict("iris", sink.getvalue(), to="csv").text)
    np.save(data["npy"], np.asfortranarray(FLOWERS))
    answers.append(predict("iris", data["npy"].read_bytes(), to="csv").text)
    assert len(set(answers)) == 1
    assert answers[0].splitlines()[0] == "prediction"
    assert len(answers[0].splitlines()) == 6


def test_written_answers_can_be_read(predict):
    data = json_lines(FLOWERS.tolist())
    rows = predict("iris", data, probabilities=True).lines
    labels = [row["prediction"] for row in rows]
    setosa = [row["probabilities"]["setosa"] for row in rows]

    def written(kind: str) -> bytes:
        return predict("iris", data, to=kind, probabilities=True).out.getvalue()

    document = json.loads(written("json"))
    assert document["predictions"] == labels
    assert document["probabilities"] == [row["probabilities"] for row in rows]
    array = np.load(io.BytesIO(written("npy")))
    assert array["prediction"].tolist() == labels
    assert array["probability_setosa"].tolist() == setosa
    for table in (
        parquet.read_table(io.BytesIO(written("parquet"))),
        pa.ipc.open_stream(written("arrow")).read_all(),
    ):
        assert table["prediction"].to_pylist() == labels
        assert table["probability_setosa"].to_pylist() == setosa
    read = list(csv.DictReader(io.StringIO(written("csv").decode())))
    assert [row["prediction"] for row in read] == labels
    assert [float(row["probability_setosa"]) for row in read] == setosa


def test_other_columns_are_kept_and_not_passed_to_the_model(predict):
    data = b'member,id,city,age,visits\ntrue,"a,1",Rome,20,1\nfalse,b,,,2\ntrue,c,Oslo,3,3\n'
    kept = predict("mixed", data, keep=["id", "age"]).text
    plain = predict("mixed", encoded("csv", [[20, "Rome", 1, True], [None, None, 2, False],
                                             [3, "Oslo", 3, True]], "mixed")).text  # fmt: skip
    answers = plain.splitlines()[1:]
    assert kept.splitlines() == ["id,age,prediction", f'"a,1",20,{answers[0]}', f"b,,{answers[1]}",
                                 f"c,3,{answers[2]}"]  # fmt: skip
    rows = [{"id": 7, "age": 1, "city": "Rome", "visits": 1, "member": True}]
    done = predict("mixed", json_lines(rows), keep=["id"])
    assert next(iter(done.lines[0].items())) == ("id", 7)
    assert [*predict("mixed", json_lines(rows)).lines[0]] == ["prediction"]
    everything = predict("iris", b"x3,x2,x1,x0\n1,2,3,4.50\n", keep=None).text
    assert everything.splitlines()[0] == "x3,x2,x1,x0,prediction"
    assert everything.splitlines()[1].startswith("1,2,3,4.50,")


def test_column_that_cannot_be_kept_is_reported(predict):
    assert "no column 'id'" in predict("iris", b"1,2,3,4\n", keep=["id"]).ended.detail
    data = b"prediction,x0,x1,x2,x3\n1,1,2,3,4\n"
    assert "predictions have this name" in predict("iris", data, keep=["prediction"]).ended.detail


@pytest.mark.parametrize("kind", list(FORMATS))
def test_no_rows_are_no_answers_and_no_error(kind, predict):
    done = predict("iris", b"x0,x1,x2,x3\n", to=kind)
    assert done.ended is None
    assert kind == "jsonl" or done.out.getvalue()


# --- rows that have no answer --------------------------------------------------------------------

BAD = b"x0,x1,x2,x3\r\n1,2,3,4\r\n\r\n1,2,3,4\r\n5,6,many,8\r\n1,2,3,4\r\n1,2,3\r\n"


def test_error_of_a_row_contains_its_number_line_and_column(predict, client):
    ended = predict("iris", BAD).ended
    assert ended.code == batch_predict.BAD_ROWS
    assert ended.detail.startswith(
        'Row 2 (line 5), column "x2": expected a finite number, got the '
    )
    assert "first 2 rows are already written" in ended.detail
    assert ended.place == {"row": 2, "line": 5, "column": "x2"}
    response = client("iris").post("/predict", json=[[1, 2, 3, 4]] * 2 + [[5, 6, "many", 8]])
    assert ended.detail.replace(" (line 5)", "").startswith(response.get_json()["detail"])


@pytest.mark.parametrize("rows", [1, 2, 100])
def test_the_neighbours_of_wrong_rows_are_answered(rows, predict):
    done = predict("iris", BAD, rows, on_error="null")
    label = predict("iris", b"1,2,3,4\n").text.split()[1]
    assert done.text.splitlines() == ["prediction", label, label, '""', label, '""']
    assert [facts["row"] for facts in done.refused] == [2, 4]
    assert done.refused[1]["detail"] == "Row 4 (line 7): expected 4 values, got 3."
    assert predict("iris", BAD, rows, on_error="skip").text.split() == ["prediction", *[label] * 3]


def test_rows_that_the_model_refuses_or_fails_on_are_reported(predict):
    done = predict("strict", b'["a", 1]\n["q", 1]\n["b", 2]\n', 3, on_error="null")
    assert [line["prediction"] is None for line in done.lines] == [False, True, False]
    assert done.refused[0]["detail"].startswith(
        'Row 1 (line 2), column "x0": expected a value that'
    )
    done = predict("stubborn", b"[1]\n[2]\n[13]\n[4]\n", 4, on_error="null")
    assert [line["prediction"] for line in done.lines] == [1.0, 2.0, None, 4.0]
    assert "no thirteens" in done.refused[0]["detail"]
    assert done.refused[0]["line"] == 3
    ended = predict("stubborn", b"[1]\n[2]\n[13]\n").ended
    assert ended.code == batch_predict.FAILED
    assert "no thirteens" in ended.detail


def test_null_answers_keep_the_form_of_the_others(predict):
    data = b'["x", 1, 1, 1]\n[1, 1, 1, 1]\n'
    done = predict("iris", data, 1, probabilities=True, on_error="null").lines
    assert done[0] == {"prediction": None, "probabilities": dict.fromkeys(done[1]["probabilities"])}
    table = predict("iris", data, 1, "parquet", probabilities=True, on_error="null").out
    assert parquet.read_table(table)["probability_setosa"].to_pylist()[0] is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"x0,x1,x2,x9\n1,2,3,4\n", "x3"),
        (b"x0,x1,x2\n1,2,3\n", "x3"),
        (b'x0,x1,x2,x3\n1,2,3,"4\n', "CSV"),
        (b"x0,x1,x2,x3\r1,2,3,4\r", "carriage return"),
        (b"x0,x1,x2,x3\n1,2,3,\xff\n", "UTF-8"),
        (b"[1,2,3,4]\n[1,2,\n", "Row 1 (line 2): expected JSON"),
        (b'{"instances": [[1,2,3,4], ', "not JSON"),
        (b'{"instances": []}x', "not JSON"),
        (b"\x93NUMPY\x01\x00 ", "NumPy"),
        (b"PAR1 and no more", "parquet"),
        (b"ARROW1 and no more", "arrow"),
        (b"\xff\xff\xff\xff and no more", "arrow"),
    ],
)
def test_unreadable_input_is_reported_and_ends_the_command(data, message, predict):
    for on_error in ("fail", "skip"):
        ended = predict("iris", data, on_error=on_error).ended
        if on_error == "fail" or ended is not None:  # a line that is no JSON is one row
            assert ended.code == batch_predict.BAD_ROWS
            assert message in ended.detail
    assert predict("iris", data).out.getvalue() in {b"", b"prediction\n"} or b"[" in data


def test_truncated_array_is_reported(predict):
    file = io.BytesIO()
    np.save(file, FLOWERS)
    ended = predict("iris", file.getvalue()[:-8]).ended
    assert "ends before the array does" in ended.detail


# --- what a file is ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"a,b\n1,2\n", "csv"),
        (b"1,2\n", "csv"),
        (b'{"a": 1}\n{"a": 2}\n', "jsonl"),
        (b"[1, 2]\n", "jsonl"),
        (b'{"instances": [[1]]}', "json"),
        (b'{"instances":\n [[1]]}', "json"),
        (b"[[1], [2]]", "json"),
        (b'[\n {"a": 1}\n]', "json"),
        (b"\x93NUMPY\x01\x00", "npy"),
        (b"PAR1", "parquet"),
        (b"ARROW1\0\0", "arrow"),
        (b"\xff\xff\xff\xff\x70\0\0\0", "arrow"),
        (b"", "csv"),
    ],
)
def test_format_is_detected_from_the_first_bytes(data, kind):
    assert files.format_from_content(data) == kind


def test_the_command_line_knows_the_formats_of_the_image():
    assert {name: each.EXTENSIONS for name, each in FORMATS.items()} == pipeline_predict.FORMATS
    modules = {path.stem for path in Path(files.__path__[0]).glob("*.py")}
    assert modules - {"__init__", "objects"} == set(FORMATS)


def test_a_row_in_json_is_a_line_or_a_document(predict):
    assert predict("texts", b'["good"]\n', to="csv").text == predict(
        "texts", b'{"text": "good"}', to="csv").text  # fmt: skip


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)

ENDS = ["\n", "\r\n"]


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.lists(CELLS, min_size=1, max_size=3), max_size=8), st.sampled_from(["\n", "\r\n"])
)
def test_a_file_is_divided_as_csv_divides_it(rows, end):
    text = io.StringIO()
    # A carriage return outside quotes is refused, and csv leaves it there before a newline alone.
    returns = any("\r" in cell for row in rows for cell in row)
    quoting = csv.QUOTE_ALL if returns else csv.QUOTE_MINIMAL
    csv.writer(text, lineterminator=end, quoting=quoting).writerows(rows)
    data = text.getvalue().encode()
    whole = list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))
    records = [record for _, record in csv_file._records(io.BytesIO(data))]
    assert b"".join(records).strip() == data.strip() or any(row == [] for row in whole)
    assert [csv_file._cells(record) for record in records] == [row for row in whole if row]


# --- the command ---------------------------------------------------------------------------------


def test_rows_of_a_pipe_are_answered_to_a_pipe(folders):
    with image(folders["iris"], "predict") as process:
        out, stderr = process.communicate(b"1,2,3,4\n5.1,3.5,1.4,0.2\n")
    assert (process.returncode, out.splitlines()[0]) == (0, b"prediction")
    assert stderr.startswith(b"2 rows in ")
    assert b"\x1b" not in stderr


def test_output_of_the_model_goes_to_standard_error(tmp_path):
    folder = render_bundle(serving_models.printing(), tmp_path, "pickle").directory
    with ForkedImage(folder, "predict") as process:
        out, stderr = process.communicate(b"[7]\n")
    assert out == b'{"prediction":7.0}\n', stderr
    assert {*stderr.splitlines()} >= {
        b"loading", b"loading in C", b"predicting", b"predicting in C"
    }  # fmt: skip


def test_answer_file_is_written_atomically(folders, tmp_path):
    (tmp_path / "rows.csv").write_bytes(BAD)
    target = tmp_path / "answers.jsonl"
    target.write_text("before")
    arguments = [
        "predict",
        tmp_path / "rows.csv",
        "-o",
        target,
        "--chunk-rows=1",
        "--progress=json",
    ]
    with ForkedImage(folders["iris"], *arguments) as process:
        out, stderr = process.communicate()
    event = json.loads(stderr.splitlines()[-1])
    assert (process.returncode, out) == (65, b"")
    assert (event["event"], event["row"], event["line"]) == ("failed", 2, 5)
    assert event["detail"].endswith("Nothing is written.")
    assert target.read_text() == "before"
    with ForkedImage(folders["iris"], *arguments, "--on-error=skip") as process:
        stderr = process.communicate()[1]
    assert process.returncode == 0, stderr
    assert json.loads(stderr.splitlines()[-1]).items() >= {"event": "done", "refused": 2}.items()
    assert len(target.read_text().splitlines()) == 3
    assert {path.name for path in tmp_path.iterdir()} == {"rows.csv", "answers.jsonl"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_file(number, folders, tmp_path):
    with ForkedImage(folders["iris"], "predict", "-o", tmp_path / "answers.csv") as process:
        process.stdin.write(b"1,2,3,4\n")
        process.stdin.flush()
        while not list(tmp_path.iterdir()):
            time.sleep(0.02)
        process.send_signal(number)
        assert process.wait(20) == command.INTERRUPTED
        assert process.stderr.read() == b""
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_does_not_wait_for_a_reader(folders, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_bytes(b"1,2,3,4\n" * 200_000)
    with ForkedImage(folders["iris"], "predict", rows) as process:
        assert process.stdout.read(11) == b"prediction\n"
        process.terminate()
        assert process.wait(20) == command.INTERRUPTED


def test_reader_that_closes_early_ends_the_command_without_an_error(folders, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_bytes(b"1,2,3,4\n" * 200_000)
    with ForkedImage(folders["iris"], "predict", rows) as process:
        assert process.stdout.read(11) == b"prediction\n"
        process.stdout.close()
        assert process.wait(20) == command.BROKEN_PIPE
        assert process.stderr.read() == b""


def test_memory_does_not_grow_with_the_rows(folders, tmp_path):
    rows = tmp_path / "rows.csv"
    peaks = []
    for count in (20_000, 400_000):
        rows.write_bytes(b"5.1,3.5,1.4,0.2\n" * count)
        with image(folders["iris"], "predict", rows, stdout=subprocess.DEVNULL) as process:
            peak = os.wait4(process.pid, 0)[2].ru_maxrss
            process.returncode = 0
            assert b"rows in" in process.stderr.read()
        peaks.append(peak)
    assert peaks[1] < peaks[0] + 10_000  # kB


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["predikt"], 2, "unknown command 'predikt'"),
        (["serve", "--port=1"], 2, "unknown command 'serve --port=1'"),
        (["\x1b[31m"], 2, "unknown command '\\x1b[31m'"),
        (["predict", "--chunk-rows=0"], 2, "number from 1"),
        (["predict", "--output-format=xlsx"], 2, "invalid choice"),
        (["predict", "/nowhere.csv"], 66, "cannot be read"),
        (["predict", "--probabilities", "--header=maybe"], 2, "invalid choice"),
        (["predict"], 65, "input is empty"),
    ],
)
def test_wrong_usage_is_reported(arguments, code, message, folders):
    with image(folders["iris"], *arguments, stdin=subprocess.DEVNULL) as process:
        out, stderr = process.communicate()
    assert (process.returncode, out) == (code, b"")
    assert message in stderr.decode()
    assert "Traceback" not in stderr.decode()


def test_missing_probabilities_are_an_error(folders):
    with ForkedImage(folders["scaler"], "predict", "--probabilities") as process:
        stderr = process.communicate(b"1,2\n")[1]
    assert (process.returncode, stderr) == (2, b"error: This model has no probabilities.\n")


def test_help_is_printed(folders):
    with ForkedImage(folders["iris"], "--help") as process:
        out = process.communicate()[0]
    assert process.returncode == 0
    assert b"IMAGE predict < rows" in out


def answers(log: Path, process: subprocess.Popen[bytes]) -> bool:
    """Waits for the service whose log this is, at most a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"Listening at: http://(127.0.0.1:\d+)", log.read_text())
        if found:
            with urllib.request.urlopen(f"http://{found[1]}/readyz", timeout=20) as answer:
                return bool(answer.status == 200)
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("arguments", [[], ["serve"]])
def test_serve_becomes_gunicorn_which_signals_reach(arguments, folders, tmp_path):
    log = (tmp_path / "log").open("wb")
    more = {"GUNICORN_CMD_ARGS": "--bind 127.0.0.1:0", "WEB_CONCURRENCY": "1"}
    entry = [sys.executable, "-S", "-m", "modelpack.serving", *arguments]
    with (
        log,
        subprocess.Popen(
            entry, cwd=folders["iris"], env=environ(**more), stdout=log, stderr=log
        ) as process,
    ):
        try:
            assert answers(Path(log.name), process)
            assert b"gunicorn" in Path(f"/proc/{process.pid}/cmdline").read_bytes()
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()


def test_error_of_a_bundle_that_does_not_load_is_reported(folders, tmp_path):
    (tmp_path / "modelpack").symlink_to(folders["iris"] / "modelpack")
    with ForkedImage(tmp_path, "predict") as process:
        stderr = process.communicate(b"1,2,3,4\n")[1]
    assert process.returncode == 1
    assert b"the service cannot start" in stderr
    assert b"Traceback" not in stderr


def test_the_first_line_of_a_slow_pipe_is_waited_for():
    read, write = os.pipe()
    with os.fdopen(write, "wb") as stream:
        stream.write(b'{"a": ')
        stream.flush()
        counted = streams.CountingReader(read, closefd=True)
        stream.write(b"1}\nmore")
        stream.close()
        assert counted.beginning() == b'{"a": 1}\nmore'
        assert io.BufferedReader(counted).read() == b'{"a": 1}\nmore'
        assert (counted.count, counted.total) == (13, None)


def test_the_limits_of_chunks_are_not_those_of_requests(folders):
    limits = command.load_service(folders["iris"], None).limits
    assert limits.rows == command.MAX_ROWS
    assert json_body.parse(b"[1]", limits) == [1]
