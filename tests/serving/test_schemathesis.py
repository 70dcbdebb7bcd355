"""schemathesis on the real service.

Its requests find no undocumented response, no 5xx, no accepted invalid rows and no refused valid
ones.

MODELPACK_FUZZ_EXAMPLES sets the number of examples per operation, which is small by default.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from fuzzed_models import MODELS
from gunicorn_server import serve
from serving_models import render_bundle

from modelpack.types import Signature, to_json

EXAMPLES = int(os.environ.get("MODELPACK_FUZZ_EXAMPLES", "7"))
SECONDS = 300 + EXAMPLES * 4  # of a hang: a busy machine may give a tenth of a core
CHECKS = Path(__file__).parents[1] / "support" / "schemathesis_checks.py"
CONFIGURATION = f"""
hooks = "{CHECKS}"
color = false
continue-on-failure = true
[cache]
enabled = false
[generation]
deterministic = true
database = "none"
max-examples = {EXAMPLES}
[phases.examples]
enabled = false  # it cannot send text where other bodies are made by tests: test_openapi.py does
[checks]
enabled = true
positive_data_acceptance.enabled = false
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "404", "405", "406", "413", "415", "422", "431"]
"""
"""schemathesis_checks.py has a check in the place of the one that is not enabled."""
OTHERS = ("mixed", "texts", "forest", "several", "unknown")
MORE = ("scaler", "coded", "strict", "hostile", "dicts")
LONG = "MODELPACK_FUZZ_EXAMPLES" in os.environ
PHASES = "coverage,fuzzing" if LONG else "fuzzing"


def schemathesis(signature: Signature, port: int, folder: Path, *options: str) -> str:
    """Return its output; fail if it has found a problem."""
    (folder / "schemathesis.toml").write_text(CONFIGURATION)
    url = f"http://127.0.0.1:{port}/openapi.json"
    done = subprocess.run(
        [Path(sys.executable).with_name("schemathesis"), "run", url, *options],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(CHECKS.parent),
            "MODELPACK_SIGNATURE": json.dumps(to_json(signature)),
        },
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    lines = (line[:1000] for line in (done.stdout + done.stderr).splitlines())
    output = "\n".join(lines)
    assert done.returncode == 0, output
    return output


TOKEN = "3f786850e387550fdab836ed7e6dc881de23001b0e1a4e7f"


def run(name: str, folder: Path, *options: str, **environ: str) -> None:
    trained = MODELS[name]()
    bundle = render_bundle(trained, folder, "pickle")
    with serve(bundle.directory, preload=True, WEB_CONCURRENCY="1", **environ) as server:
        output = schemathesis(trained.signature, server.port, folder, *options)
        assert "Traceback" not in server.log_path.read_text()
    print(*re.findall(r".*(?:generated|Operations:).*", output), sep="\n")


@pytest.mark.slow
def test_schemathesis_finds_nothing(tmp_path):
    run("iris", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS + MORE if LONG else OTHERS)
def test_schemathesis_finds_nothing_in_prediction_routes(tmp_path, name):
    run(name, tmp_path, "--include-method", "POST", "--phases", PHASES)


@pytest.mark.slow
def test_schemathesis_finds_no_route_open_without_the_token(tmp_path):
    header = f"Authorization: Bearer {TOKEN}"
    options = ("--include-method", "GET", "--header", header)
    run("iris", tmp_path, *options, MODELPACK_TOKEN=TOKEN)
