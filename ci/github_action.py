"""The steps of the GitHub action in `action.yml`: `package`, `diff`, `comment` and `push`.

Inputs are read from environment variables. They are never part of a shell script, where a value
such as `$(command)` would be executed.

Sources: https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
and https://docs.github.com/rest/issues/comments
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

MODELPACK = Path(sys.executable).with_name("modelpack")
PREFIXES = ("oci:", "oci-archive:", "docker-archive:")
PULLING = {"auto": "docker", "docker": "docker", "podman": "podman"}
"""Engine -> the command that pulls an image for it."""
MAX_COMMENT = 60_000
"""GitHub accepts 65536 characters."""
PAGE = 100


def text(name: str) -> str:
    return os.environ.get(name, "").strip()


def lines(name: str) -> list[str]:
    """Return the lines of a variable that are not empty."""
    return [line.strip() for line in os.environ.get(name, "").splitlines() if line.strip()]


# --- output --------------------------------------------------------------------------------------


def write_output(name: str, value: str) -> None:
    """Set an output of the step. A value of several lines could set other outputs, too."""
    if re.search(r"[\r\n]", value):
        raise ValueError(f"the output {name} has several lines")
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as file:
        file.write(f"{name}={value}\n")


def append_summary(markdown: str) -> None:
    with Path(os.environ["GITHUB_STEP_SUMMARY"]).open("a", encoding="utf-8") as file:
        file.write(f"{markdown}\n")


def annotate(level: str, title: str, message: str) -> None:
    """Print an annotation of the model's file: an "error" or a "warning"."""
    model = next(iter(lines("MODEL")), "")
    properties = {"file": model, "title": title} if model else {"title": title}
    written = ",".join(f"{name}={_escape(value, ':,')}" for name, value in properties.items())
    print(f"::{level} {written}::{_escape(message)}", flush=True)


def _escape(value: str, more: str = "") -> str:
    for character in "%\r\n" + more:
        value = value.replace(character, f"%{ord(character):02X}")
    return value


@contextmanager
def _ignored_commands() -> Iterator[None]:
    """Let GitHub ignore lines such as `::add-path::` in what other programs print."""
    word = secrets.token_hex(16)
    print(f"::stop-commands::{word}", flush=True)
    try:
        yield
    finally:
        print(f"::{word}::", flush=True)


# --- modelpack -----------------------------------------------------------------------------------


def run_modelpack(command: str, *arguments: str) -> Any:
    """Run a command, show its messages, and return its JSON document.

    Raises:
        SystemExit: The command failed. An annotation shows the error and the hint.
    """
    messages: list[str] = []
    with tempfile.TemporaryFile("w+", encoding="utf-8") as document:
        with (
            _ignored_commands(),
            subprocess.Popen(
                [MODELPACK, command, "--json", *arguments],
                stdout=document,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "NO_COLOR": "1"},
            ) as process,
        ):
            for line in process.stderr or ():
                print(line, end="", flush=True)
                messages.append(line)
        document.seek(0)
        printed = document.read()
    if process.returncode:
        title = f"modelpack {command} (exit code {process.returncode})"
        annotate("error", title, error_text(messages))
        raise SystemExit(process.returncode)
    return json.loads(printed)


def error_text(messages: Sequence[str]) -> str:
    """Return the error and the hint at the end of the messages of a command."""
    starts = [index for index, line in enumerate(messages) if line.lower().startswith("error: ")]
    shown = "".join(messages[starts[-1] :] if starts else messages[-5:]).strip()
    return shown[len("error: ") :] if starts else shown or "The command printed no error."


def require_inputs(*names: str) -> None:
    """Require that inputs have a value. GitHub does not check this.

    Raises:
        SystemExit: One is empty. An annotation names it.
    """
    for name in names:
        if not text(name.upper()):
            annotate("error", "modelpack", f"The input {name} of the action is empty.")
            raise SystemExit(2)


def package() -> None:
    """Package the model. Outputs: report and junit, also if the smoke test fails; image, id."""
    require_inputs("model", "tag")
    folder = _new_folder()
    report, junit = folder / "smoke.json", folder / "smoke.xml"
    options = [f"--engine={text('ENGINE')}", f"--report={report}", f"--junit={junit}"]
    for name in ("tag", "expected", "example"):
        options += [f"--{name}={text(name.upper())}"] if text(name.upper()) else []
    options += [f"--cache-from={value}" for value in lines("CACHE_FROM")]
    options += [f"--cache-to={value}" for value in lines("CACHE_TO")]
    try:
        result = run_modelpack("package", *options, *lines("ARGUMENTS"), "--", *lines("MODEL"))
    finally:
        for name, file in (("report", report), ("junit", junit)):
            if file.exists():
                write_output(name, str(file))
    image, smoke = result["image"], result["smoke"]
    if image:
        write_output("image", image["reference"])
        write_output("id", image["id"])
        append_summary(f"`{image['reference']}`, {image['size_bytes'] / 1e6:.0f} MB")
    if smoke:
        passed = sum(check["status"] == "passed" for check in smoke["checks"])
        append_summary(f"\n{passed} of {len(smoke['checks'])} checks passed")


def diff() -> None:
    """Compare the image with DIFF_AGAINST. Output: markdown, also if the step fails."""
    old, engine = text("DIFF_AGAINST"), text("ENGINE")
    if engine in PULLING and not old.startswith(PREFIXES) and not Path(old).exists():
        # Predictions are compared with images of the engine only.
        with _ignored_commands():
            subprocess.run([PULLING[engine], "pull", "--quiet", "--", old], check=False)
    markdown = _new_folder() / "diff.md"
    options = [f"--engine={engine}", f"--fail-on={text('FAIL_ON')}", f"--markdown={markdown}"]
    # A model file is not run. Only the predictions in its record can be compared.
    if text("EXAMPLE") and not Path(old).is_file():
        options.append(f"--example={text('EXAMPLE')}")
    try:
        run_modelpack("diff", *options, "--", old, text("IMAGE"))
    finally:
        if markdown.exists():
            write_output("markdown", str(markdown))
            append_summary(markdown.read_text(encoding="utf-8"))


def push() -> None:
    """Push the image, and sign it if KEY has a private key. Outputs: digest, reference, name."""
    options = [f"--engine={text('ENGINE')}"]
    key = _new_folder() / "cosign.key"
    if text("KEY"):
        key.touch(mode=0o600)
        key.write_text(f"{text('KEY')}\n", encoding="utf-8")
        options.append(f"--key={key}")
    try:
        result = run_modelpack("push", *options, "--", text("IMAGE"))
    finally:
        key.unlink(missing_ok=True)
    write_output("digest", result["digest"])
    write_output("reference", result["reference"])
    write_output("name", result["reference"].partition("@")[0])
    signed = "signed" if result["signed"] else "not signed"
    append_summary(f"\nPushed as `{result['reference']}`, {signed}")


def _new_folder() -> Path:
    """Return a new folder that remains until the job ends."""
    return Path(tempfile.mkdtemp(prefix="modelpack-", dir=os.environ["RUNNER_TEMP"]))


# --- the comment ---------------------------------------------------------------------------------


def comment() -> None:
    """Write the comparison as a comment of the pull request. A later run replaces the comment."""
    event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
    repository = f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}"
    comments = f"{repository}/issues/{int(event['pull_request']['number'])}/comments"
    # `--` would end an HTML comment.
    marker = (
        f"<!-- modelpack diff: {re.sub(r'[^A-Za-z0-9_./]+', ' ', ' '.join(lines('MODEL')))} -->"
    )
    body = f"{marker}\n{Path(text('MARKDOWN')).read_text(encoding='utf-8')[:MAX_COMMENT]}"
    try:
        mine = next((each for each in _all(comments) if each["body"].startswith(marker)), None)
        if mine:
            _request("PATCH", f"{repository}/issues/comments/{mine['id']}", {"body": body})
        else:
            _request("POST", comments, {"body": body})
    except OSError as error:
        # The token of a pull request from a fork may not write.
        annotate("warning", "No comment", f"The comment could not be written: {error}.")


def _all(url: str) -> Iterator[Any]:
    """Yield the entries of a list, the oldest first. The largest page of GitHub has 100."""
    for page in count(1):
        entries = _request("GET", f"{url}?per_page={PAGE}&page={page}")
        yield from entries
        if len(entries) < PAGE:
            return


def _request(method: str, url: str, document: Any = None) -> Any:
    headers = {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {text('GITHUB_TOKEN')}",
        "Content-Type": "application/json",
    }
    content = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(url, content, headers, method=method)  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - GitHub's own URL
        return json.load(response)


STEPS = {"package": package, "diff": diff, "comment": comment, "push": push}

if __name__ == "__main__":
    STEPS[sys.argv[1]]()
