"""`modelpack predict`, and `predict` in an image: the same predictions as the service."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Any

import docker
import packaged_images
import pytest
from packaged_images import container, curl
from waiting import wait_until

from modelpack.errors import SmokeFailedError, UsageError
from modelpack.pipeline import predict as pipeline_predict

IRIS = Path(__file__).parents[2] / "sample_models" / "iris"
MODEL = IRIS / "model.joblib"
NAMES = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
ROWS = json.loads((IRIS / "request.json").read_text())["instances"]
LABELS = json.loads((IRIS / "response.json").read_text())["predictions"]
REFERENCE = "modelpack-test/predict:1"

pytestmark = pytest.mark.slow


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "modelpack", *map(str, arguments)]


def predict(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    options = {"capture_output": True, "stdin": subprocess.DEVNULL, **options}
    return subprocess.run(command("predict", *arguments), text=True, check=False, **options)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["flower", *NAMES], *([n, *row] for n, row in enumerate(ROWS))])
    return path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of the model, with its environment created."""
    folder = tmp_path_factory.mktemp("predict")
    arguments = ("package", MODEL, "--engine", "process", "--no-smoke", "-o", folder / "bundle")
    subprocess.run(command(*arguments), check=True, capture_output=True)
    return folder / "bundle"


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    arguments = ("package", MODEL, "--engine", "docker", "--no-smoke", "-t", REFERENCE)
    subprocess.run(command(*arguments), check=True, capture_output=True)
    yield REFERENCE
    subprocess.run(["docker", "rmi", "--force", REFERENCE], check=True, capture_output=True)


EXPECTED = "\n".join(["flower,prediction", *(f"{n},{v}" for n, v in enumerate(LABELS)), ""])


# --- a local process -----------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["model", "bundle"])
def test_a_model_and_a_bundle_answer_the_rows_of_a_file(
    target: str, bundle: Path, rows: Path, tmp_path: Path
) -> None:
    path = MODEL if target == "model" else bundle
    done = predict(path, rows, "--keep", "flower", env={**os.environ, "TMPDIR": str(tmp_path)})
    assert (done.returncode, done.stdout) == (0, EXPECTED), done.stderr
    assert f"\u2713 predict      {len(ROWS)} rows" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_rows_come_from_a_pipe_and_answers_go_to_a_file(
    bundle: Path, rows: Path, tmp_path: Path
) -> None:
    output = tmp_path / "answers.jsonl"
    arguments = (bundle, "-", "--keep", "flower", "-o", output, "--json", "--quiet")
    with rows.open() as stdin:
        done = predict(*arguments, "--input-format=csv", "--probabilities", stdin=stdin)
    assert (done.returncode, done.stderr) == (0, "")
    summary = json.loads(done.stdout)
    assert (summary["rows"], summary["refused"], summary["output"]) == (len(ROWS), 0, str(output))
    answers = [json.loads(line) for line in output.read_text().splitlines()]
    assert [answer["prediction"] for answer in answers] == LABELS
    assert set(answers[0]) == {"flower", "prediction", "probabilities"}
    assert list(tmp_path.iterdir()) == [output]


def test_a_row_that_does_not_fit_is_exit_2_and_leaves_the_file_as_it_was(
    bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "rows.jsonl").write_text('[1, 2, 3, 4]\n[1, 2, 3, "x"]\n')
    arguments = (bundle, tmp_path / "rows.jsonl", "-o", tmp_path / "answers.csv")
    done = predict(*arguments)
    assert done.returncode == 2
    assert 'error: Row 1 (line 2), column "petal width (cm)": expected a finite' in done.stderr
    assert "hint: " in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]
    done = predict(*arguments, "--on-error", "null")
    assert done.returncode == 0
    assert "note: no prediction: Row 1 (line 2)" in done.stderr
    assert (tmp_path / "answers.csv").read_text().splitlines()[-1] == '""'


def test_bundle_of_an_older_version_must_be_packaged_again(
    bundle: Path, rows: Path, tmp_path: Path
) -> None:
    old = tmp_path / "old"
    subprocess.run(["cp", "-r", str(bundle), str(old)], check=True)
    (old / "modelpack" / "serving" / "__main__.py").unlink()
    done = predict(old, rows)
    assert done.returncode == 7
    assert "Package the model again." in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((MODEL, "/nowhere.csv"), 2, "cannot be read"),
        ((MODEL, MODEL, "-o", "/nowhere/answers.csv"), 2, "cannot be written"),
        ((MODEL, "--json"), 2, "-o FILE"),
        ((MODEL, "--input-format", "xlsx"), 2, "xlsx"),
        ((MODEL,), 2, "input is empty"),
        ((MODEL.parent / "README.md", MODEL.parent / "request.json"), 4, "text"),
        ((MODEL.parent, MODEL.parent / "request.json"), 2, "not a bundle"),
    ],
)  # fmt: skip
def test_wrong_usage_is_reported(
    arguments: tuple[str | Path, ...], code: int, message: str
) -> None:
    done = predict(*arguments)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_an_image_needs_an_engine(rows: Path, tmp_path: Path) -> None:
    environ = packaged_images.environ_without_engine(tmp_path)
    assert predict("iris:1", rows, env=environ).returncode == 8


def test_reader_that_closes_early_is_not_an_error(bundle: Path) -> None:
    pipeline = " ".join(command("predict", bundle, "--quiet"))
    line = f"set -o pipefail; {{ yes 1,2,3,4 || true; }} | {pipeline} | head -n 1"
    done = subprocess.run(["bash", "-c", line], capture_output=True, check=False, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "prediction\n", "")


def children(parent: int) -> list[int]:
    done = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, check=False, text=True)
    found = list(map(int, done.stdout.split()))
    return found + [each for child in found for each in children(child)]


def answering(stdin: IO[bytes], process: subprocess.Popen[bytes]) -> list[int]:
    """Waits for the first answers; the processes that give them."""
    stdin.write(b"1,2,3,4\n" * 10_000)
    stdin.flush()
    assert process.stdout
    assert process.stdout.readline() == b"prediction\n"
    return children(process.pid)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (130, KeyboardInterrupt),
        (2, UsageError),
        (65, UsageError),
        (74, UsageError),
        (137, SmokeFailedError),
        (1, SmokeFailedError),
    ],
)
def test_an_exit_code_of_the_image_is_an_error_of_the_command(
    code: int, error: type[BaseException]
) -> None:
    for end in (0, 141):
        pipeline_predict._require_done(end, "")
    with pytest.raises(error):
        pipeline_predict._require_done(code, "why")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupt_leaves_no_process_and_no_folder(
    number: signal.Signals, tmp_path: Path
) -> None:
    interrupted(number, tmp_path, MODEL)


def interrupted(number: signal.Signals, tmp: Path, target: str | Path) -> None:
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    environ = {**os.environ, "TMPDIR": str(tmp)}
    with subprocess.Popen(command("predict", target), env=environ, **pipes) as process:
        assert process.stdin
        others = answering(process.stdin, process)
        process.send_signal(number)
        code = process.wait(timeout=30)
        assert code == (-number if number == signal.SIGKILL else 130)
        assert wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in others))
    assert wait_until(lambda: not list(tmp.iterdir())), list(tmp.iterdir())


# --- images --------------------------------------------------------------------------------------


def run(
    image: str, *arguments: str, options: tuple[str, ...] = (), rows: Path | None = None
) -> Any:
    docker_command = ["docker", "run", "--rm", "-i", *options, image, *arguments]
    with (rows or Path(os.devnull)).open() as stdin:
        return subprocess.run(
            docker_command, stdin=stdin, capture_output=True, text=True, check=False
        )


@pytest.mark.engine
def test_an_image_answers_a_file_as_its_service_does(image: str, rows: Path) -> None:
    """As SageMaker starts it, and as one with nothing but a pipe does."""
    hardened = ("--network=none", "--read-only", "--cap-drop=ALL", "--user=12345:0")
    arguments = ("predict", "--keep=flower", "--probabilities", "--output-format=jsonl")
    done = run(image, *arguments, options=hardened, rows=rows)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    with docker_client() as client, container(client, image, command=["serve"]) as (started, url):
        assert curl(f"{url}/ping") is not None
        header = ("-H", "Content-Type: application/json")
        body = json.dumps({"instances": ROWS})
        served = json.loads(curl(*header, "-d", body, f"{url}/predict?probabilities=true"))
        assert "<title>" in curl("-H", "Accept: text/html", f"{url}/")
        assert json.loads(curl(f"{url}/openapi.json"))["openapi"].startswith("3.1")
        assert 'route="/predict",status="200"} 1.0' in curl(f"{url}/metrics")
        started.kill("SIGTERM")
        assert started.wait(timeout=30)["StatusCode"] == 0
    assert [answer["prediction"] for answer in answers] == served["predictions"] == LABELS
    assert [answer["probabilities"] for answer in answers] == served["probabilities"]
    shown = predict(image, rows, "--keep", "flower", "--probabilities", "--output-format", "jsonl")
    assert shown.stdout == done.stdout, shown.stderr


def list_objects(kind: str, *filters: str) -> list[str]:
    docker_command = [
        "docker",
        kind,
        "--all",
        "--no-trunc",
        *(f"--filter={each}" for each in filters),
    ]
    return subprocess.run(
        docker_command, capture_output=True, text=True, check=True
    ).stdout.splitlines()[1:]


def image_ids(*filters: str) -> list[str]:
    return [line.split()[2] for line in list_objects("images", *filters)]


def predicting() -> list[str]:
    return [
        line
        for line in list_objects("ps", "label=dev.modelpack.smoke")
        if "serving predict" in line
    ]


def docker_client() -> Any:
    return closing(docker.from_env())


@pytest.mark.engine
def test_image_describes_its_commands(image: str) -> None:
    assert "IMAGE predict < rows" in run(image, "--help").stdout
    done = run(image, "python", "-c", "1")
    assert (done.returncode, done.stdout) == (2, "")
    assert "docker run --entrypoint python IMAGE" in done.stderr
    assert run(image, "predict").returncode == 65


@pytest.mark.engine
def test_container_of_a_prediction_is_removed(rows: Path) -> None:
    digest = hashlib.sha256(MODEL.read_bytes()).hexdigest()
    nameless = ["dangling=true", f"label=dev.modelpack.model.sha256={digest}"]
    before = set(image_ids(*nameless))
    done = predict(MODEL, rows, "--keep", "flower", "--engine", "docker")
    assert (done.returncode, done.stdout) == (0, EXPECTED), done.stderr
    assert predicting() == []
    assert set(image_ids(*nameless)) <= before


@pytest.mark.engine
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupt_leaves_no_container(
    number: signal.Signals, image: str, tmp_path: Path
) -> None:
    interrupted(number, tmp_path, image)
    assert wait_until(lambda: predicting() == [])


@pytest.mark.engine
def test_mismatched_rows_and_missing_images_are_reported(image: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("1,2,3\n")
    done = predict(image, tmp_path / "rows.csv")
    assert (done.returncode, done.stdout) == (2, "")
    assert "expected 4 columns, got 3" in done.stderr
    done = predict("modelpack-test/none:1", tmp_path / "rows.csv")
    assert done.returncode == 2
    assert "docker pull modelpack-test/none:1" in done.stderr


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        ("The first line may contain names or values. Use --header present.", ""),
        ("The input is empty.", ""),
        (
            'Column "a": expected this column, got nothing.',
            "`modelpack inspect MODEL` lists the inputs",
        ),
        (
            'Row 2 (line 4), column "a": expected a finite number, got the string "none".',
            "`modelpack inspect MODEL` lists the inputs. For null in bad rows: --on-error null",
        ),
    ],
)
def test_hint_fits_the_reason(message, hint):
    with pytest.raises(UsageError) as caught:
        pipeline_predict._require_done(65, message)
    assert caught.value.hint == hint
