"""`modelpack diff` as people and CI see it: the table, the documents, the exit codes.

`MODELPACK_UPDATE_GOLDEN=1 pytest tests/pipeline/test_diff.py` writes tests/golden/diff anew.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import pytest
import registries
from diff_sides import ENVIRONMENT, FILE, PLAIN, image, inputs, model_answers, queried_rows
from hostile_text import HOSTILE
from rich.console import Console
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import modelpack
from modelpack.cli import diff_view
from modelpack.cli.diff_view import view_diff
from modelpack.comparison import Base, Difference, Side, compare, predictions
from modelpack.errors import DifferentError
from modelpack.pipeline.diff import require_no_difference
from modelpack.types import BaseImage, Environment, Field, Signature

GOLDEN = Path(__file__).parents[1] / "golden" / "diff"
IRIS = Path(__file__).parents[2] / "sample_models" / "iris" / "model.joblib"
RETRAINED = Path(__file__).parents[2] / "docs" / "examples" / "iris-retrained.joblib"
SVC = Path(__file__).parents[2] / "sample_models" / "kserve-svc" / "model.joblib"
DIFFERENT = 9


def shown(compared: Difference, *, terminal: bool = False, width: int = 100) -> str:
    stream = io.StringIO()
    options: dict[str, Any] = {"force_terminal": True} if terminal else {}
    Console(file=stream, width=width, highlight=False, **options).print(view_diff(compared))
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def sides() -> tuple[Side, Side]:
    """Two images of which about everything differs."""
    old = replace(
        image([FILE], "sha256:" + "a" * 64, "sha256:" + "b" * 64, User="65532", Labels={"x": "1"}),
        name="shop/churn:1",
        kind="image",
        base=Base("python:3.11-slim", "sha256:" + "1" * 64),
        environment=Environment(
            "3.11", "linux/amd64", {"numpy": "1.26.4", "scikit-learn": "1.7.1", "six": "1"}, {}, ""
        ),
    )
    new = replace(
        image(
            [replace(FILE, sha256="bb", size=5_400)],
            "sha256:" + "a" * 64,
            "sha256:" + "c" * 64,
            User="65532",
            Labels={"x": "2"},
        ),
        name="shop/churn:2",
        kind="image",
        base=Base("python:3.11-slim", "sha256:" + "2" * 64),
        environment=Environment(
            "3.11", "linux/amd64", {"numpy": "2.0.0", "scikit-learn": "1.7.2", "tqdm": "4"}, {}, ""
        ),
    )
    old = replace(old, model=replace(old.model, signature=PLAIN))
    tenure, region = Field("tenure", "number"), Field("region", "string", nullable=True)
    signature = inputs(*PLAIN.inputs, tenure, region)
    file = replace(new.model.file, sha256="ab" * 32)
    return old, replace(new, model=replace(new.model, signature=signature, file=file))


def difference() -> Difference:
    old, new = sides()
    labels = [["no", "yes"][number % 2] for number in range(20)]
    chances = [[0.75, 0.25]] * 20
    answers = predictions.compare(
        queried_rows(20, labels=True),
        model_answers(labels, chances, "no", "yes"),
        model_answers(["no"] * 20, [[0.5, 0.5], *chances[1:]], "no", "yes"),
    )
    return compare(old, new, answers)


@pytest.mark.parametrize("width", [80, 120])
def test_table_equals_the_golden_file(width: int) -> None:
    golden(f"{width}.txt", shown(difference(), width=width))


def test_pull_request_comment_equals_the_golden_file() -> None:
    golden("comment.md", diff_view.markdown_text(difference()))


def golden(name: str, text: str) -> None:
    if os.environ.get("MODELPACK_UPDATE_GOLDEN") and not os.environ.get("CI"):
        GOLDEN.mkdir(exist_ok=True)
        (GOLDEN / name).write_text(text)
    assert text == (GOLDEN / name).read_text()


def test_equal_parts_are_not_reported() -> None:
    old, _ = sides()
    text = shown(compare(old, old, predictions.not_compared(["nobody asked"])))
    assert text.endswith("nothing differs\n")
    assert "~" not in text


def test_colours_are_for_terminals_only() -> None:
    assert "\x1b[1;31mbreaking" in shown(difference(), terminal=True)
    assert "\x1b" not in shown(difference())


def test_no_line_is_wider_than_the_terminal() -> None:
    for width in (40, 60, 80, 100, 120, 200):
        assert max(map(len, shown(difference(), width=width).splitlines())) <= width


def hostile() -> Difference:
    """A difference with hostile names of inputs, classes, files, layers, labels and packages."""
    text = "".join(HOSTILE)
    old, _ = sides()
    new = replace(
        image([replace(FILE, path=text)], text, **{"User": text, "Labels": {text: text}}),
        name=text,
        environment=replace(ENVIRONMENT, requirements={text: text}),
    )
    fields = tuple(Field(each, "string", categories=(each,)) for each in HOSTILE)
    signature = replace(inputs(*fields), classes=tuple(HOSTILE))
    new = replace(new, model=replace(new.model, signature=signature, estimator=text))
    answers = predictions.compare(
        queried_rows(2), model_answers([text, "a"]), model_answers(["a", text])
    )
    return compare(old, new, answers)


def test_hostile_text_is_shown_inertly() -> None:
    text = shown(hostile())
    assert all(character.isprintable() for line in text.splitlines() for character in line)


def test_hostile_text_is_no_markup_of_a_comment() -> None:
    text = diff_view.markdown_text(hostile())
    assert all(character.isprintable() for character in text.replace("\n", ""))
    outside = re.sub(r"`[^`\n]*`", "", text)
    assert set(re.findall(r"<[^>]*>", outside)) <= {
        "<details>", "<details open>", "<summary>", "</summary>", "</details>",
    }  # fmt: skip
    assert "@" not in outside
    assert "](" not in outside


# --- what ends with an exit code -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("fail_on", "fails"),
    [("any", True), ("breaking", True), ("predictions", True), ("never", False)],
)
def test_requested_differences_fail(fail_on: str, fails: bool) -> None:
    if not fails:
        require_no_difference(difference(), fail_on)
        return
    with pytest.raises(DifferentError, match=r"shop/churn:2 differs from shop/churn:1\.\n"):
        require_no_difference(difference(), fail_on)


def test_error_names_the_first_changes_that_break_callers() -> None:
    old, new = (replace(side, model=replace(side.model, signature=PLAIN)) for side in sides())
    same = predictions.compare(queried_rows(1), model_answers([1]), model_answers([1]))

    def error(signature: Signature) -> str:
        changed = replace(new, model=replace(new.model, signature=signature))
        with pytest.raises(DifferentError) as caught:
            require_no_difference(compare(old, changed, same), "breaking")
        return caught.value.message.partition(" callers ")[2]

    classes = (*PLAIN.classes, "unsure\n::error::")
    assert error(replace(PLAIN, classes=classes)) == r"(class 'unsure\n::error::' added)"
    more = [Field(name, "number") for name in "abcd"]
    assert error(inputs(*PLAIN.inputs, *more)) == (
        "(input 'a' added, input 'b' added, input 'c' added, ...)"
    )


def test_other_differences_do_not_fail() -> None:
    old, _ = sides()
    moved = replace(old, environment=replace(ENVIRONMENT, python="3.12"))
    same = predictions.compare(queried_rows(1), model_answers([1]), model_answers([1]))
    found = compare(old, moved, same)
    for fail_on in ("breaking", "predictions", "never"):
        require_no_difference(found, fail_on)
    with pytest.raises(DifferentError):
        require_no_difference(found, "any")


def test_uncompared_predictions_are_not_reported_as_the_same() -> None:
    old, _ = sides()
    found = compare(old, old, predictions.not_compared(["nobody asked"]))
    require_no_difference(found, "any")
    with pytest.raises(DifferentError, match="could not be compared: nobody asked"):
        require_no_difference(found, "predictions")


# --- the command ---------------------------------------------------------------------------------


def diff(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "modelpack", "diff", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def trained(folder: Path, *, rows: slice = slice(None), **columns: str) -> Path:
    """A pipeline as that of the sample, of some of the rows and with some columns renamed."""
    iris = load_iris(as_frame=True)
    data, species = iris.data.rename(columns=columns), iris.target_names[iris.target]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.02))
    model.fit(data[rows], species[rows])
    folder.mkdir(exist_ok=True)
    joblib.dump(model, folder / "model.joblib")
    modelpack.record(model, data[::50], folder / "model.joblib")
    return folder / "model.joblib"


def test_model_files_are_compared_by_their_facts(tmp_path: Path) -> None:
    done = diff(IRIS, SVC, "--json")
    found = json.loads(done.stdout)
    assert done.returncode == DIFFERENT
    assert found["schema"] == 1
    assert found["breaking"] == ["signature"]
    assert found["old"]["kind"] == "model file"
    assert found["predictions"]["verdict"] == "unknown"
    assert f"{SVC} differs from {IRIS}." in done.stderr
    assert "changes break callers (" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_same_file_does_not_differ(tmp_path: Path) -> None:
    done = diff(IRIS, IRIS, "--quiet", "--markdown", tmp_path / "comment.md")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("nothing differs\n")
    assert (tmp_path / "comment.md").read_text().startswith("### ")


def test_recorded_answers_are_compared_without_running_a_model(tmp_path: Path) -> None:
    """Both models were recorded with the same rows where they were trained."""
    old, new = trained(tmp_path / "old"), trained(tmp_path / "new", rows=slice(0, 100))
    done = diff(old, new, "--json", "--fail-on", "never")
    found = json.loads(done.stdout)["predictions"]
    assert (done.returncode, found["rows"], found["compared"]) == (0, 3, 3)
    (last,) = [row for row in found["differences"] if row["number"] == 2]
    assert (last["old"], last["row"]) == ("virginica", [6.3, 3.3, 6.0, 2.5])
    assert last["new"] in {"setosa", "versicolor"}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("no-such-file", "also:none", "--engine", "docker"), {2, 8}, ""),
        ((IRIS, Path(__file__)), {4}, "test_diff.py"),
        ((IRIS, Path(__file__).parents[1]), {2}, "bundle"),
        ((IRIS, IRIS, "--example", "none.csv"), {2}, "cannot be read"),
        ((IRIS, IRIS, "--markdown", "/no/such/folder/x.md"), {2}, "cannot be written"),
        ((IRIS, "oci:no-such-folder"), {2}, "no-such-folder"),
        ((IRIS, IRIS, "--fail-on", "sometimes"), {2}, "sometimes"),
    ],
    ids=str,
)
def test_invalid_arguments_have_their_exit_code(
    arguments: tuple[str, ...], code: set[int], message: str
) -> None:
    done = diff(*arguments)
    assert done.returncode in code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


# --- images of the engine ------------------------------------------------------------------------

OLD, NEW = "modelpack-test/diff:1", "modelpack-test/diff:2"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """OLD and NEW are images of the sample and of its retrained model; the folder has the bundle
    of OLD.
    """
    folder = tmp_path_factory.mktemp("diff")
    command = [sys.executable, "-m", "modelpack", "package", "--engine", "docker", "--no-smoke"]
    for model, name, more in (
        (IRIS, OLD, ("-o", folder / "bundle")),
        (RETRAINED, NEW, ()),
    ):
        subprocess.run([*command, model, "-t", name, *more], check=True, capture_output=True)
    yield folder
    subprocess.run(["docker", "rmi", "--force", OLD, NEW], check=True, capture_output=True)


@pytest.mark.engine
@pytest.mark.slow
def test_a_retrained_model_differs_in_one_layer_and_in_its_answers(images: Path) -> None:
    done = diff(OLD, NEW, "--json", "--engine", "docker", "--markdown", images / "comment.md")
    found = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr  # no caller breaks
    assert found["differing"] == ["predictions", "model", "image"]
    assert found["breaking"] == []
    assert found["signature"]["changes"] == []
    layers = found["image"]["layers"]
    assert (layers["added"], layers["removed"]) == (1, 1)
    assert 2_000 < layers["pull_bytes"] < 1_000_000
    files = {c["name"] for c in found["image"]["changes"] if c["what"] == "file"}
    assert {"app/model/model.joblib", "app/modelpack.json"} <= files
    assert all(name.startswith("app/") for name in files)
    assert found["predictions"]["rows"] == found["predictions"]["compared"] == 8
    assert 0 < found["predictions"]["probability"] <= 1
    assert {row["number"] for row in found["predictions"]["differences"]} <= set(range(8))
    assert OLD in (images / "comment.md").read_text()


@pytest.mark.engine
@pytest.mark.slow
def test_both_models_predict_the_rows_of_a_file(images: Path) -> None:
    rows = images / "rows.csv"
    iris = load_iris(as_frame=True)
    iris.data.assign(flower=iris.target).to_csv(rows, index=False)
    arguments = ("--example", rows, "--engine", "docker")
    found = json.loads(diff(OLD, NEW, "--json", *arguments).stdout)["predictions"]
    assert (found["rows"], found["made_up"]) == (100, False)
    assert 0 < found["differing"] < 100
    assert f"{found['differing']} of 100 rows with a different label" in found["summary"]
    shown = diff(OLD, NEW, *arguments, COLUMNS="100")
    assert shown.returncode == 0, shown.stderr
    assert "setosa \u2192 " in shown.stdout or " \u2192 virginica" in shown.stdout
    assert shown.stdout.rstrip().endswith("differs: predictions, model, image")


@pytest.mark.engine
@pytest.mark.slow
def test_the_same_model_is_the_same_in_an_image_a_bundle_and_an_archive(images: Path) -> None:
    done = diff(images / "bundle", OLD, "--json", "--engine", "docker", "--fail-on", "predictions")
    found = json.loads(done.stdout)
    assert (done.returncode, found["differing"]) == (0, []), done.stderr
    assert found["predictions"]["verdict"] == "same"
    archive = images / "image.tar"
    subprocess.run(["docker", "save", "-o", archive, OLD], check=True)
    done = diff(OLD, archive, "--json", "--engine", "docker")
    archive.unlink()
    found = json.loads(done.stdout)
    assert (done.returncode, found["differing"]) == (0, []), done.stderr
    assert found["image"]["verdict"] == "same"
    assert "archive" in found["predictions"]["unknown"][0]


@pytest.mark.engine
@pytest.mark.slow
def test_an_image_in_a_registry_is_compared_without_pulling_it(
    images: Path, tmp_path: Path
) -> None:
    """One with no more than the facts of the model: it is read, and not run."""
    manifest = images / "bundle" / "modelpack.json"
    (tmp_path / "modelpack.json").write_bytes(manifest.read_bytes())
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY modelpack.json /app/\n")
    with registries.run_registry(tmp_path) as host:
        name = f"{host}/team/iris:1"
        for command in (
            ["docker", "build", "-q", "-t", name, tmp_path],
            ["docker", "push", "-q", name],
            ["docker", "rmi", name],
        ):
            subprocess.run(command, check=True, capture_output=True)
        done = diff(OLD, name, "--json", "--engine", "docker", "--fail-on", "any")
    found = json.loads(done.stdout)
    assert (done.returncode, found["new"]["kind"]) == (DIFFERENT, "registry"), done.stderr
    assert found["differing"] == ["image"]
    assert found["image"]["layers"]["compressed"]
    assert found["image"]["layers"]["pull_bytes"] < manifest.stat().st_size
    assert "registry" in found["predictions"]["unknown"][0]


@pytest.mark.engine
@pytest.mark.slow
def test_a_model_that_does_not_load_breaks_callers(images: Path) -> None:
    """The model file of the image is not the one in its manifest."""
    name = "modelpack-test/diff:broken"
    dockerfile = f"FROM {OLD}\nUSER 0\nCOPY broken /app/model/model.joblib\n"
    (images / "context").mkdir()
    (images / "context" / "broken").write_bytes(b"no model")
    (images / "context" / "Dockerfile").write_text(dockerfile)
    subprocess.run(
        ["docker", "build", "-q", "-t", name, images / "context"], check=True, capture_output=True
    )
    try:
        done = diff(OLD, name, "--json", "--engine", "docker")
    finally:
        subprocess.run(["docker", "rmi", "--force", name], check=True, capture_output=True)
    found = json.loads(done.stdout)
    assert (done.returncode, found["breaking"]) == (DIFFERENT, ["predictions"])
    assert "predictions: NEW returns no predictions" in done.stderr


@pytest.mark.engine
def test_foreign_image_is_reported(base: BaseImage) -> None:
    done = diff(base.reference, base.reference, "--engine", "docker")
    assert done.returncode == 2
    assert "was not created by modelpack" in done.stderr
