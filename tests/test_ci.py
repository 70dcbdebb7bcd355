"""The GitHub action, and the files for other CI systems in ci/."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from threading import Thread
from typing import Any

import click
import docker
import pytest
import yaml
from attested_images import KEY_PASSWORD, make_keys
from github_runner import ActionRun, Runner, comments_server

from modelpack.cli.commands import main

ROOT = Path(__file__).parents[1]
IRIS = "sample_models/iris/model.joblib"
DOCUMENT = (ROOT / "docs" / "ci.md").read_text()
WORKFLOWS = [
    ROOT / "action.yml",
    ROOT / "ci" / "github.yml",
    *sorted((ROOT / ".github" / "workflows").glob("*.yml")),
]
EXAMPLES = ("github.yml", "gitlab.yml", "Jenkinsfile", "package.sh")
REPOSITORY = "modelpack-ci/iris"
COLUMNS = ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)")
ROWS = f"{','.join(COLUMNS)}\n5.1,3.5,1.4,0.2\n"


def steps(path: Path) -> list[dict[str, object]]:
    document = yaml.safe_load(path.read_text())
    jobs = document.get("jobs", {"": document.get("runs")})
    return [step for job in jobs.values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_expression_is_part_of_a_script(path: Path) -> None:
    """GitHub inserts the text before the shell reads it, so it could add commands."""
    assert steps(path)
    assert [step["run"] for step in steps(path) if "${{" in str(step.get("run", ""))] == []


@pytest.mark.parametrize("path", WORKFLOWS[1:], ids=lambda path: path.name)
def test_workflows_get_only_the_permissions_they_name(path: Path) -> None:
    assert yaml.safe_load(path.read_text())["permissions"] == {"contents": "read"}


SOURCES = ("modelpack/", "templates/", "ci/")
MANUAL = "docs/modelpack.1"
"""A file of the wheel."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository, as GitHub checks it out, because pip writes build/ into it."""
    folder = tmp_path_factory.mktemp("source")
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, names.split("\0")):
        if name.startswith((*SOURCES, MANUAL)) or "/" not in name:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables with which the action installs modelpack, and finds its libraries in ours."""
    programs = tmp_path_factory.mktemp("programs")
    (programs / "python3").symlink_to(sys._base_executable)
    libraries = next(path for path in sys.path if path.endswith("site-packages"))
    return {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": libraries,
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads it as "no"
        "COSIGN_PASSWORD": "",
    }


@pytest.mark.parametrize(
    ("others", "written_to"),
    [
        (99, ("PATCH", "/repos/o/r/issues/comments/99")),
        (100, ("PATCH", "/repos/o/r/issues/comments/100")),
        (250, ("PATCH", "/repos/o/r/issues/comments/250")),
        (-200, ("POST", "/repos/o/r/issues/7/comments")),
    ],
)
def test_comment_is_found_behind_many_others(
    others: int, written_to: tuple[str, str], tmp_path: Path
) -> None:
    """A negative number: there are so many others, and no comment of the action."""
    event, table = tmp_path / "event.json", tmp_path / "diff.md"
    event.write_text(json.dumps({"pull_request": {"number": 7}}))
    table.write_text("the comparison")
    existing = [{"id": number, "body": "a person's"} for number in range(abs(others))]
    if others > 0:
        existing.append({"id": others, "body": "<!-- modelpack diff: m.joblib -->\nold"})
    with comments_server(existing) as (url, written):
        environ = {
            "GITHUB_API_URL": url,
            "GITHUB_REPOSITORY": "o/r",
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_TOKEN": "T0KEN",
            "MARKDOWN": str(table),
            "MODEL": "m.joblib",
        }
        command = [sys.executable, str(ROOT / "ci" / "github_action.py"), "comment"]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ((method, path, body),) = written
    assert (method, path) == written_to
    assert body == "<!-- modelpack diff: m.joblib -->\nthe comparison"


@pytest.mark.engine
@pytest.mark.slow
def test_action_packages_compares_comments_pushes_and_signs(
    *,
    source: Path,
    environ: dict[str, str],
    registry: str,
    cosign_command: str,
    base: object,
    tmp_path: Path,
) -> None:
    tag = f"{registry}/{REPOSITORY}:1"
    key = make_keys(cosign_command, tmp_path) / "cosign.key"
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 7}}))
    rows = tmp_path / "rows.csv"
    rows.write_text(ROWS)
    inputs = {
        "model": IRIS,
        "tag": tag,
        "arguments": "--tolerance\n0\n",
        "cache-from": f"{registry}/{REPOSITORY}:none\n",
        "cache-to": "type=inline\n",
        "example": str(rows),
        "diff-against": "docs/examples/iris-retrained.joblib",
        "push": "true",
        "sign": key.read_text(),
        "sign-password": KEY_PASSWORD,
        "token": "T0KEN",
    }
    existing = [{"id": 1, "body": "a person's"}]
    client = docker.from_env()
    try:
        with comments_server(existing) as (url, written):
            github = {
                "GITHUB_API_URL": url,
                "GITHUB_REPOSITORY": "o/r",
                "GITHUB_EVENT_PATH": str(event),
            }
            variables = {**environ, **github}
            runner = Runner(source, tmp_path, ROOT, variables, "pull_request")
            run = runner.run_action(inputs)
            assert set(run.codes.values()) == {0}, run.log
            existing += [{"id": 2, "body": written[0][2]}]
            write_comment_again(runner, run)
            expect_rows_in_comparison(runner, run, rows)
            expect_report_of_failure(runner, inputs)
        expect_outputs(run, f"{registry}/{REPOSITORY}", tag)
        assert f"The build cache {registry}/{REPOSITORY}:none was not imported" in run.log
        assert has_inline_cache(registry, REPOSITORY, "1")
        (method, path, body), (again, path_again, _) = written
        assert (method, path) == ("POST", "/repos/o/r/issues/7/comments")
        assert (again, path_again) == ("PATCH", "/repos/o/r/issues/comments/2")
        assert "| section | verdict | summary |" in body
        # The key is in no file that remains, nor in the log.
        assert not [*tmp_path.glob("modelpack-*/cosign.key")]
        assert "PRIVATE KEY" not in run.log
        verify = [cosign_command, "verify", "--insecure-ignore-tlog", "--allow-http-registry"]
        command = [*verify, f"--key={key.with_suffix('.pub')}", run.outputs["reference"]]
        subprocess.run(command, check=True, capture_output=True)
        run_shell(tag, tmp_path)
        assert has_inline_cache(registry, REPOSITORY, "2")
    finally:
        for image in client.images.list(f"{registry}/{REPOSITORY}"):
            client.images.remove(image.id, force=True)
        client.close()


def has_inline_cache(registry: str, repository: str, tag: str) -> bool:
    """Return whether the configuration of a pushed image contains a build cache."""

    def read(path: str) -> dict[str, Any]:
        accept = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
        request = urllib.request.Request(f"http://{registry}/v2/{repository}/{path}", None, accept)
        with urllib.request.urlopen(request, timeout=20) as response:
            document: dict[str, Any] = json.load(response)
            return document

    config = read(f"blobs/{read(f'manifests/{tag}')['config']['digest']}")
    return "moby.buildkit.cache.v0" in config


def expect_outputs(run: ActionRun, name: str, tag: str) -> None:
    assert run.outputs["image"] == tag
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", run.outputs["id"])
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", run.outputs["digest"])
    assert run.outputs["name"] == name
    assert run.outputs["reference"] == f"{name}@{run.outputs['digest']}"
    assert json.loads(Path(run.outputs["report"]).read_text())["passed"]
    assert Path(run.outputs["junit"]).read_text().startswith("<?xml")
    assert f"Pushed as `{run.outputs['reference']}`, signed" in run.summary
    assert " checks passed" in run.summary
    assert Path(run.outputs["diff"]).read_text() in run.summary


def expect_report_of_failure(runner: Runner, inputs: dict[str, str]) -> None:
    """Package with other expected predictions. The reports exist if the smoke test fails, too."""
    expected = runner.folder / "expected.csv"
    expected.write_text("prediction\nvirginica\n")
    run = runner.run_action({**inputs, "expected": str(expected)})
    assert run.codes == {"0": 0, "package": 7}
    assert not json.loads(Path(run.outputs["report"]).read_text())["passed"]
    assert "<failure" in Path(run.outputs["junit"]).read_text()
    assert run.outputs["image"] == ""


def write_comment_again(runner: Runner, run: ActionRun) -> None:
    """Run the step a second time, as the next push to the pull request does."""
    markdown = {"MARKDOWN": run.outputs["diff"], "GITHUB_TOKEN": "T0KEN"}
    run_step(runner, "comment", markdown)


def expect_rows_in_comparison(runner: Runner, run: ActionRun, rows: Path) -> None:
    """Compare the pushed image with itself."""
    pushed = run.outputs["reference"]
    inputs = {"DIFF_AGAINST": pushed, "EXAMPLE": str(rows), "FAIL_ON": "any"}
    run_step(runner, "diff", {**inputs, "IMAGE": run.outputs["image"], "ENGINE": "docker"})
    assert "| predictions | ✅ same | `1 row" in (runner.folder / "summary").read_text()


def run_step(runner: Runner, step: str, given: dict[str, str]) -> None:
    program = runner.folder / "modelpack" / "bin" / "python"
    files = {
        "GITHUB_OUTPUT": str(runner.folder / "output"),
        "GITHUB_STEP_SUMMARY": str(runner.folder / "summary"),
        "RUNNER_TEMP": str(runner.folder),
    }
    variables = {**os.environ, **runner.environ, **files, "MODEL": IRIS, **given}
    command = [program, runner.source / "ci" / "github_action.py", step]
    subprocess.run(command, env=variables, check=True)


def run_shell(serving: str, folder: Path) -> None:
    """Run ci/package.sh with the pushed image as the one to compare with."""
    tag = serving.replace(":1", ":2")
    given = {
        "MODEL": str(ROOT / IRIS),
        "IMAGE": tag,
        "EXAMPLE": "rows.csv",
        "SERVING_IMAGE": serving,
        "CACHE_FROM": serving,
        "CACHE_TO": "type=inline",
        "PUSH": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    command = ["sh", ROOT / "ci" / "package.sh"]
    subprocess.run(command, cwd=folder, env={**os.environ, **given}, check=True)
    assert re.fullmatch(
        rf"{re.escape(tag.rpartition(':')[0])}@sha256:[0-9a-f]{{64}}\n",
        (folder / "pushed.txt").read_text(),
    )
    assert "same | `1 row" in (folder / "diff.md").read_text()
    assert json.loads((folder / "smoke.json").read_text())["passed"]


@pytest.mark.engine
def test_action_annotates_a_refused_model_and_stops(
    source: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    """The tag would create a file if a shell read it as a part of the script."""
    marker = tmp_path / "executed"
    (tmp_path / "evil,1.pkl").write_bytes(f"cos\nsystem\n(S'touch {marker}'\ntR.".encode())
    inputs = {
        "model": "evil,1.pkl",
        "tag": f"$(touch {marker}); touch {marker}",
        "diff-against": "other.pkl",
        "push": "true",
    }
    run = run_installed(source, tmp_path, environ, inputs)
    assert run.codes == {"package": 3}
    annotation = next(line for line in run.log.splitlines() if line.startswith("::error "))
    assert annotation.startswith(
        "::error file=evil%2C1.pkl,title=modelpack package (exit code 3)::evil,1.pkl is refused"
    )
    assert "os.system" in annotation
    assert "%0Ahint: " in annotation
    assert set(run.outputs.values()) == {""}
    assert not marker.exists()


def run_installed(
    source: Path, folder: Path, environ: dict[str, str], inputs: dict[str, str]
) -> ActionRun:
    """Run the steps after the first one, with the modelpack of this environment."""
    programs = folder / "modelpack" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "modelpack"):
        (programs / name).symlink_to(Path(sys.executable).with_name(name))
    action = yaml.safe_load((source / "action.yml").read_text())
    del action["runs"]["steps"][0]
    alone = folder / "action"
    shutil.copytree(source / "ci", alone / "ci")
    (alone / "action.yml").write_text(yaml.safe_dump(action))
    return Runner(alone, folder, folder, environ).run_action(inputs)


@pytest.mark.parametrize(
    ("inputs", "annotation"),
    [
        (
            {"model": "", "tag": "iris:1"},
            "::error title=modelpack::The input model of the action is empty.",
        ),
        (
            {"model": "m.joblib", "tag": " "},
            "::error file=m.joblib,title=modelpack::The input tag of the action is empty.",
        ),
        (
            {"model": "m.joblib", "tag": "iris:1", "arguments": "--nope"},
            "::error file=m.joblib,title=modelpack package (exit code 2)::No such option",
        ),
    ],
)
def test_action_annotates_wrong_inputs(
    *,
    source: Path,
    environ: dict[str, str],
    tmp_path: Path,
    inputs: dict[str, str],
    annotation: str,
) -> None:
    """GitHub does not check that required inputs are given."""
    run = run_installed(source, tmp_path, environ, {**inputs, "push": "true"})
    assert run.codes == {"package": 2}
    (printed,) = (line for line in run.log.splitlines() if line.startswith("::error "))
    assert printed.startswith(annotation)


def close_first_connection(server: socket.socket) -> None:
    server.accept()[0].close()


def test_comment_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    """The server closes the connection without a response."""
    event, markdown = tmp_path / "event.json", tmp_path / "diff.md"
    event.write_text(json.dumps({"pull_request": {"number": 7}}))
    markdown.write_text("### a → b")
    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=close_first_connection, args=(server,)).start()
        variables = {
            "GITHUB_API_URL": f"http://127.0.0.1:{server.getsockname()[1]}",
            "GITHUB_REPOSITORY": "o/r",
            "GITHUB_EVENT_PATH": str(event),
            "MARKDOWN": str(markdown),
            "MODEL": "m.joblib",
        }
        done = subprocess.run(
            [sys.executable, ROOT / "ci" / "github_action.py", "comment"],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("::warning file=m.joblib,title=No comment::")


def commands(path: Path) -> list[list[str]]:
    """Return the arguments of each `modelpack` that a file runs, without quoting."""
    text = re.sub(r"\\\n|\n {8}(?=--)", " ", path.read_text())
    text = re.sub(r"\$\{\w+:\+(.*?)\}", r"\1", text)
    found = re.findall(r"(?:^|- |sh ')\s*modelpack ((?:\"[^\"]*\"|[^\n'>])*)", text, re.MULTILINE)
    return [shlex.split(line) for line in found]


@pytest.mark.parametrize("name", EXAMPLES[1:])
def test_examples_use_options_that_exist(name: str) -> None:
    assert len(commands(ROOT / "ci" / name)) >= 2
    for command, *arguments in commands(ROOT / "ci" / name):
        with click.Context(main) as group:  # an unknown option raises
            main.commands[command].make_context(command, arguments, parent=group).close()


@pytest.mark.parametrize("name", EXAMPLES)
def test_page_shows_the_tested_file(name: str) -> None:
    shown = re.findall(r"^```(?:yaml|groovy|sh)\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert (ROOT / "ci" / name).read_text() in shown


@pytest.mark.parametrize("kind", ["inputs", "outputs"])
def test_page_lists_inputs_and_outputs(kind: str) -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    table = DOCUMENT.partition(f"| {kind[:-1]} |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE) == list(action[kind])
