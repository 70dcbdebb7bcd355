"""`predict --folder`: each row once, whatever is killed, and the bytes of one process."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import serving_models
from batch_runs import ForkedImage, image
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from serving_models import render_bundle

from modelpack.serving.batch import command, parts, ranges, shards
from modelpack.serving.batch.files import FORMATS
from modelpack.serving.service import Service

CHUNK, PART = 10, 30
OPTIONS = ("--chunk-rows", str(CHUNK), "--part-rows", str(PART), "--probabilities", "--keep", "id")
NAMES = [f"x{index}" for index in range(4)]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return render_bundle(serving_models.iris(), tmp_path_factory.mktemp("iris")).directory


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """Three files: csv with quotes and empty lines, json lines, parquet with odd row groups."""
    folder = tmp_path_factory.mktemp("rows")
    rows = np.random.default_rng(0).normal(4, 1, (205, 4)).round(2).tolist()
    (folder / "2024").mkdir()
    with (folder / "2024" / "a.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", *NAMES])
        for index, row in enumerate(rows):
            text = f'row\n"{index}"' if index % 7 == 3 else f"row {index}"
            writer.writerow([text, *row])
            file.write("\n" if index % 11 == 5 else "")
    with (folder / "b.jsonl").open("w") as lines:
        for index, row in enumerate(rows[:95]):
            lines.write(json.dumps({"id": index, **dict(zip(NAMES, row, strict=True))}) + "\n")
    columns = {"id": list(range(205)), **dict(zip(NAMES, zip(*rows, strict=True), strict=True))}
    parquet.write_table(pa.table(columns), folder / "c.parquet", row_group_size=37)
    (folder / "_SUCCESS").touch()
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "x.txt").touch()
    return folder


def run(bundle: Path, *arguments: str | Path) -> tuple[int, str, list[dict]]:
    """Return the exit status, standard output, and the events of a run."""
    with ForkedImage(bundle, "predict", *arguments, "--progress", "json") as process:
        output, errors = process.communicate()
    lines = [line for line in errors.decode().splitlines() if line.startswith("{")]
    assert process.returncode in {0, 2} or lines, errors
    return process.returncode, output.decode(), [json.loads(line) for line in lines]


def failure(events: list[dict]) -> str:
    return next(event["detail"] for event in events if event["event"] == "failed")


def tree(folder: Path) -> dict[str, str]:
    """Return the digests of all predictions."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("part-*")
        if "_modelpack" not in path.parts
    }


@pytest.fixture(scope="module")
def alone(bundle, source, tmp_path_factory) -> Path:
    """The output of one process."""
    target = tmp_path_factory.mktemp("alone") / "out"
    code, output, _ = run(bundle, "--folder", source, target, *OPTIONS)
    assert code == 0
    rows = 205 + 95 + 205
    report = {"files": 3, "parts": 7 + 4 + 7, "rows": rows, "written": rows}
    assert json.loads(output) == {**report, "without_prediction": 0}
    assert json.loads((target / "_modelpack" / "report.json").read_text()) == json.loads(output)
    return target


def test_parts_of_a_file_are_its_predictions(bundle, source, alone, tmp_path):
    for name in ("2024/a.csv", "b.jsonl", "c.parquet"):
        together = tmp_path / Path(name).name
        chunks = ("--chunk-rows", str(CHUNK), "--probabilities", "--keep", "id")
        code, _, _ = run(bundle, source / name, "-o", together, *chunks)
        assert code == 0
        outputs = sorted((alone / name).iterdir())
        if name.endswith("parquet"):
            tables = [parquet.read_table(path) for path in outputs]
            assert pa.concat_tables(tables).equals(parquet.read_table(together))
            assert pa.concat_tables(tables)["id"].to_pylist() == list(range(205))
            continue
        bodies = [path.read_bytes() for path in outputs]
        if name.endswith("csv"):
            head = bodies[0][: bodies[0].index(b"\n") + 1]
            assert all(body.startswith(head) for body in bodies)
            bodies = [head, *(body[len(head) :] for body in bodies)]
        assert b"".join(bodies) == together.read_bytes()


def test_shards_write_the_bytes_of_one_process(bundle, source, alone, tmp_path):
    target, outputs = tmp_path / "out", []
    for shard in ("2/3", "3/3", "1/3"):
        arguments = ("--folder", source, target, "--shard", shard, *OPTIONS)
        code, output, events = run(bundle, *arguments)
        assert code == 0
        outputs.append(output)
        assert sum(event["event"] == "part" for event in events) == 6
        assert events[-1]["event"] == "done"
    assert outputs[:2] == ["", ""]
    assert json.loads(outputs[2])["rows"] == 505
    assert tree(target) == tree(alone)


@pytest.mark.parametrize("variable", shards.INDEXES)
def test_platforms_set_the_shard(variable):
    for index in (0, 7):
        found = shards.from_environment(8, {variable: str(index)})
        assert found == shards.parse(f"{index + 1}/8")
    for wrong in ("8", "-1", "x", "1e1"):
        with pytest.raises(ValueError, match=variable):
            shards.from_environment(8, {variable: wrong})
    with pytest.raises(ValueError, match="none of these"):
        shards.from_environment(8, {variable: ""})
    for wrong in ("0/8", "9/8", "1", "a/b", "1/2/3", "1/-1", "\u0661/8"):
        with pytest.raises(ValueError, match="expected a number and a count"):
            shards.parse(wrong)


def test_a_killed_job_is_resumed_with_other_shards(bundle, source, alone, tmp_path):
    target = tmp_path / "out"
    arguments = ("predict", "--folder", source, target, *OPTIONS)
    done = target / "_modelpack" / "parts"
    with image(bundle, *arguments) as process:
        deadline = time.monotonic() + 60
        while len(list(done.rglob("*.json"))) < 3 and time.monotonic() < deadline:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    finished = {path: path.stat().st_mtime_ns for path in done.rglob("part-*.json")}
    assert 3 <= len(finished) < 18, "it was killed in between"
    # As if it had been killed while it wrote a part, and before the record of the next.
    (target / "c.parquet").mkdir(exist_ok=True)
    torn = target / "c.parquet" / f".part-00006.parquet.{'0' * 16}"
    torn.write_bytes(b"PAR1")
    (target / "c.parquet" / "part-00006.parquet").write_bytes(b"PAR1")
    code, _, events = run(bundle, "--folder", source, target, "--report")
    assert (code, "are not finished" in failure(events)) == (75, True)
    for shard in ("1/2", "2/2"):
        code, output, _ = run(bundle, "--folder", source, target, "--shard", shard, *OPTIONS)
        assert code == 0
    assert json.loads(output)["rows"] == 505
    assert tree(target) == tree(alone)
    assert {path: path.stat().st_mtime_ns for path in finished} == finished, "no part was repeated"
    assert not torn.exists()


def test_report_finds_what_is_missing_damaged_and_repeated(bundle, source, alone, tmp_path):
    def report(code: int) -> str:
        found, output, events = run(bundle, "--folder", source, target, "--report")
        assert found == code
        return failure(events) if code else output

    target = tmp_path / "out"
    assert run(bundle, "--folder", source, target, *OPTIONS)[0] == 0
    assert json.loads(report(0))["parts"] == 18
    part = target / "b.jsonl" / "part-00001.jsonl"
    content = part.read_bytes()
    part.unlink()
    assert "1 of 18 parts are not finished: 'b.jsonl/part-00001.jsonl'" in report(75)
    part.write_bytes(content[:-1] + b" ")
    assert "1 parts are not as they were written" in report(65)
    part.write_bytes(content)
    record = target / "_modelpack" / "parts" / "b.jsonl" / "part-00001.jsonl.json"
    text = record.read_text()
    record.write_text(text.replace('"written": 30', '"written": 29'))
    assert "1 parts are not as they were written" in report(65)
    record.write_text(text)
    again = target / "b.jsonl" / "part-00001-copy.jsonl"
    again.write_bytes(content)
    assert "1 files are no parts: 'b.jsonl/part-00001-copy.jsonl'" in report(65)
    again.unlink()
    plan = target / "_modelpack" / "plan.json"
    document = json.loads(plan.read_text())
    document["files"][1]["ranges"][1][0] += 1
    plan.write_text(json.dumps(document))
    assert "gaps: 'b.jsonl'" in report(65)
    plan.write_text("{}")
    assert "not a plan of this version" in report(2)
    plan.unlink()
    assert "contains no job" in report(66)


def test_another_job_and_changed_input_are_refused(bundle, source, tmp_path):
    rows, target = tmp_path / "rows", tmp_path / "out"
    rows.mkdir()
    (rows / "a.csv").write_text("5.1,3.5,1.4,0.2\n")
    assert run(bundle, "--folder", rows, target)[0] == 0
    code, _, events = run(bundle, "--folder", rows, target, "--probabilities")
    assert (code, failure(events)) == (
        2,
        f"{target} contains the predictions of another job, which differs in probabilities."
        " Use an empty folder.",
    )
    (rows / "a.csv").write_text("5.1,3.5,1.4,0.3\n")
    code, _, events = run(bundle, "--folder", rows, target)
    assert (code, "has changed since the job began: 'a.csv'" in failure(events)) == (65, True)


@pytest.mark.parametrize(
    ("files", "arguments", "code", "message"),
    [
        ({"a.txt": ""}, (), 65, "'a.txt' is not a file of a known format: csv, jsonl, parquet"),
        ({}, (), 66, "There are no files in"),
        ({"a.parquet": "PAR1"}, (), 65, "'a.parquet' is not valid parquet"),
        ({"a.csv": "1,2,3,4\n1,2,3,x\n"}, (), 65, "'a.csv': Row 1 (line 2)"),
        ({"a.csv": "1,2,3\n"}, (), 65, "'a.csv': The rows: expected 4 columns, got 3"),
        ({"a.csv": "1,2,3,4\n"}, ("--shards", "2"), 2, "The shard is not known: none of these"),
        ({"a.csv": "1,2,3,4\n"}, ("--output-format", "npy"), 2, "one of csv, jsonl, parquet"),
        ({"a.csv": "1,2,3,4\n"}, ("-o", "x.csv"), 2, "takes the place of FILE, of -o"),
        ({"a.csv": "1,2,3,4\n"}, ("--shard", "1/2", "--shards", "2"), 2, "Give one of"),
    ],
)  # fmt: skip
def test_wrong_input_is_an_error_that_names_the_file(
    bundle, tmp_path, *, files, arguments, code, message
):
    rows, target = tmp_path / "rows", tmp_path / "out"
    rows.mkdir()
    for name, text in files.items():
        (rows / name).write_text(text)
    found, output, events = run(bundle, "--folder", rows, target, *arguments)
    assert (found, output, message in failure(events)) == (code, "", True), failure(events)
    assert not tree(target)
    assert not list(target.rglob(".*"))


def test_overlapping_folders_are_refused(bundle, tmp_path):
    for one, other in ((tmp_path, tmp_path / "x"), (tmp_path, tmp_path)):
        code, _, events = run(bundle, "--folder", one, other)
        assert (code, "overlap" in failure(events)) == (2, True)
    code, _, events = run(bundle, "--folder", tmp_path / "no", tmp_path / "x")
    assert (code, "is not a folder" in failure(events)) == (66, True)


@pytest.mark.parametrize(("on_error", "written"), [("skip", 38), ("null", 40)])
def test_rows_without_a_prediction_are_counted(bundle, tmp_path, on_error, written):
    rows, target = tmp_path / "rows", tmp_path / "out"
    rows.mkdir()
    lines = ["5.1,3.5,1.4,0.2"] * 40
    lines[3] = lines[33] = "5.1,3.5,1.4,none"
    (rows / "a.csv").write_text("\n".join(lines))
    options = ("--on-error", on_error, "--chunk-rows", "10", "--part-rows", "11")
    code, output, events = run(bundle, "--folder", rows, target, *options)
    assert code == 0
    report = {"files": 1, "parts": 2, "rows": 40, "written": written, "without_prediction": 2}
    assert json.loads(output) == report
    refused = [event for event in events if event["event"] == "refused"]
    assert [(event["row"], event["line"]) for event in refused] == [(3, 4), (33, 34)]


def test_empty_files_have_no_parts(bundle, tmp_path):
    rows, target = tmp_path / "rows", tmp_path / "out"
    rows.mkdir()
    (rows / "a.csv").touch()
    (rows / "b.csv").write_text("x0,x1,x2,x3\n")
    (rows / "c.jsonl").write_text("\n")
    code, output, _ = run(bundle, "--folder", rows, target)
    assert (code, json.loads(output)["files"], json.loads(output)["parts"]) == (0, 3, 0)


# --- ranges --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> Service:
    folder = render_bundle(serving_models.texts(), tmp_path_factory.mktemp("texts"), "pickle")
    return command.load_service(folder.directory, 3)


RECORDS = st.lists(st.sampled_from(['"a\nb"', "c", "", '"d""e"', "f", "\r", '"\n\n"']), max_size=30)


@settings(max_examples=200, deadline=None)
@given(records=RECORDS, head=st.booleans(), block=st.integers(1, 12), size=st.integers(1, 7))
def test_ranges_of_lines_are_the_records_of_the_file(texts, records, head, block, size):
    body = "text\n" * head + "".join(f"{record}\n" for record in records)
    data, header = body.encode(), "present" if head else "absent"
    original, ranges.BLOCK = ranges.BLOCK, block
    try:
        require_ranges_of_file("csv", data, header, size, texts)
        lines = body.replace('"', "").encode()
        require_ranges_of_file("jsonl", lines, None, size, texts)
    finally:
        ranges.BLOCK = original


def require_ranges_of_file(kind: str, data: bytes, header, size: int, service: Service) -> None:
    form = FORMATS[kind]

    def stream() -> io.BufferedReader:
        return io.BufferedReader(io.BytesIO(data))  # type: ignore[arg-type]

    def rows(chunks) -> list:
        return [
            (line, chunk.values(0, "text")[index])
            for chunk in chunks
            for index, line in enumerate(chunk.lines)
        ]

    expected = rows(form.read(stream(), 3, service, header))
    found = form.split(stream(), size, service, header)
    assert sum(part.rows for part in found) == len(expected)
    assert [part.first for part in found] == list(range(0, len(expected), size))
    read = [rows(form.read_range(stream(), part, 3, service, header)) for part in found]
    assert [row for part in read for row in part] == expected


@pytest.mark.parametrize("groups", [1, 7, 10, 100])
@pytest.mark.parametrize("size", [10, 30])
def test_ranges_of_parquet_have_whole_chunks(texts, groups, size):
    file = io.BytesIO()
    values = [f"text {index}" for index in range(73)]
    parquet.write_table(pa.table({"text": values}), file, row_group_size=groups)
    form = FORMATS["parquet"]
    found = form.split(file, size, texts, None)
    chunks = [list(form.read_range(file, part, 10, texts, None)) for part in found]
    read = [chunk for part in chunks for chunk in part]
    assert [value for chunk in read for value in chunk.values(0, "text")] == values
    assert [len(chunk) for chunk in read] == [10] * 7 + [3]
    assert [len(chunk) for chunk in form.read(file, 10, texts, None)] == [10] * 7 + [3]


def test_each_format_of_a_folder_can_be_split_and_counted():
    for kind in command.SPLITTABLE:
        for name in ("split", "read_range", "count_written"):
            assert callable(getattr(FORMATS[kind], name))
    assert parts.LEFTOVER.fullmatch(f".part-00000.csv.{os.urandom(8).hex()}")
