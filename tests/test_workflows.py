"""The workflows of this repository, the example for users and the action, judged by actionlint.

Scripts in them are judged by ShellCheck.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROGRAMS = Path(sys.executable).parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
EXAMPLE = ROOT / "ci" / "github.yml"
ACTION = ROOT / "action.yml"


def complaints(workflow: str, path: Path) -> str:
    """Return what is wrong with a workflow, which may use the action of this repository."""
    flags = ["-oneline", "-no-color", f"-shellcheck={PROGRAMS / 'shellcheck'}", "-pyflakes="]
    # The path leads to the repository, and so to the action `./`.
    command = [PROGRAMS / "actionlint", *flags, f"-stdin-filename={path}", "-"]
    done = subprocess.run(
        command, cwd=ROOT, input=workflow, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.returncode == (1 if done.stdout else 0)
    return done.stdout


def read(path: Path) -> str:
    """Return a workflow that uses the action of this repository instead of a released one."""
    return path.read_text().replace("OWNER/modelpack@REF", "./")


def action() -> str:
    """Return a workflow with the steps of the action. Files of actions are not workflows."""
    document = yaml.safe_load(ACTION.read_text())
    inputs = {name: {"type": "string"} for name in document["inputs"]}
    job = {
        "runs-on": "ubuntu-latest",
        "outputs": {name: output["value"] for name, output in document["outputs"].items()},
        "steps": document["runs"]["steps"],
    }
    workflow = {"on": {"workflow_call": {"inputs": inputs}}, "jobs": {"action": job}}
    return yaml.safe_dump(workflow, sort_keys=False, width=1000)


@pytest.mark.parametrize("path", [*WORKFLOWS, EXAMPLE], ids=lambda path: path.name)
def test_workflow_is_valid(path: Path) -> None:
    assert complaints(read(path), path) == ""


def test_action_is_valid() -> None:
    assert complaints(action(), ACTION) == ""


@pytest.mark.parametrize(
    ("workflow", "right", "wrong", "complaint"),
    [
        (read(WORKFLOWS[0]), "timeout-minutes: 15", "timeout: 15", 'unexpected key "timeout"'),
        (read(WORKFLOWS[0]), "make lint", 'make "$1', "shellcheck reported issue"),
        (read(EXAMPLE), "example: tests", "exmple: tests", 'input "exmple" is not defined'),
        (read(EXAMPLE), "tag: ghcr.io", "# tag: ghcr.io", 'missing input "tag"'),
        (read(EXAMPLE), "outputs.junit !=", "outputs.xml !=", 'property "xml" is not defined'),
        (read(EXAMPLE), "github.event_name ==", "github.event_name = ", "unexpected character"),
        (read(EXAMPLE), "attestations: write", "attests: write", "unknown permission scope"),
        (read(EXAMPLE), "checkout@v6", "checkout@v4", 'runtime "node20" is deprecated'),
        (action(), "${{ inputs.tag }}", "${{ inputs.name }}", 'property "name" is not defined'),
        (action(), "steps.push.outputs", "steps.upload.outputs", 'property "upload" is not'),
        (action(), "shell: bash", "shel: bash", 'unexpected key "shel"'),
    ],
)
def test_mistake_is_reported(workflow: str, right: str, wrong: str, complaint: str) -> None:
    assert right in workflow
    assert complaint in complaints(workflow.replace(right, wrong, 1), EXAMPLE)
