"""Run two versions of a model at once with Compose, and measure the split and the shadow.

    python -m benchmarks.versions IMAGE IMAGE2 --proxy-image nginx [--weight 10] [--rate 100]
        [--rows 1] [--only split|shadow]

10,000 requests are divided between IMAGE and the canary IMAGE2. Then one deployment of IMAGE with
the shadow IMAGE2 gets the same load in turns, with and without copies of the requests. Only the
configuration of nginx changes, which it reads while it runs. In the condition "same_cores", the
shadow answers with the cores of this machine. In "separate", a server in nginx takes the copies
and responds at once: what a client pays if the shadow has its own machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.steady import Seen, SteadyLoad, example
from modelpack.deployment.targets import PROXY_FILE

RELOAD_SECONDS = 1.5
"""Time in which nginx reads its configuration and closes idle connections."""
MIRROR = "            mirror /.modelpack/mirror;\n"
SHADOW = "proxy_pass http://$shadow:8080$request_uri;"
SINK = "127.0.0.1:8082"
"""A server in nginx in place of the shadow."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image")
    parser.add_argument("image2")
    parser.add_argument("--proxy-image", required=True)
    parser.add_argument("--port", type=int, default=18080)
    parser.add_argument("--weight", type=int, default=10)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--rows", type=int, default=1, help="of each request")
    parser.add_argument("--split", type=int, default=10_000, help="requests of the canary's test")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--requests", type=int, default=500, help="of one turn of a round")
    parser.add_argument("--only", choices=["split", "shadow"])
    given = parser.parse_args()
    if given.only != "shadow":
        with deployed(given, "--canary", given.image2, f"--weight={given.weight}"):
            print(json.dumps(split(given)), flush=True)
    if given.only != "split":
        with deployed(given, "--shadow", given.image2) as folder:
            for condition in ("same_cores", "separate"):
                print(json.dumps(shadow(given, folder, condition)), flush=True)


@contextmanager
def deployed(given: argparse.Namespace, *arguments: str) -> Iterator[Path]:
    """A deployment of the first image behind the proxy. Yield its folder."""
    with tempfile.TemporaryDirectory() as folder:

        def run(*arguments: str) -> None:
            command = [sys.executable, "-m", "modelpack", "deploy", *arguments, "-o", folder]
            subprocess.run([*command, "--quiet"], stdout=subprocess.DEVNULL, check=True)

        options = ["--to=compose", f"--name={name(given)}", "--no-token", "--proxy", "--apply"]
        options += [f"--proxy-image={given.proxy_image}", f"--port={given.port}"]
        options += ["--fail-on=never", f"--rate={given.rate}"]
        run(given.image, *options, *arguments)
        try:
            yield Path(folder)
        finally:
            run("--remove")


def name(given: argparse.Namespace) -> str:
    return f"benchmark-{given.port}"


def split(given: argparse.Namespace) -> dict[str, object]:
    seen = load(given, given.split)
    share = 100 * sum(n for (_, version), n in seen.answers.items() if version == "canary")
    return {
        "requests": seen.requests,
        "failed": seen.failed,
        "weight": given.weight,
        "canary_percent": round(share / seen.requests, 2),
        "different_responses": len(seen.bodies),
    }


def shadow(given: argparse.Namespace, folder: Path, condition: str) -> dict[str, object]:
    """Measure turns without and with copies of the requests, in the order A B, B A, A B ..."""
    file = folder / PROXY_FILE
    rendered = file.read_text()
    mirrored = rendered if condition == "same_cores" else with_sink(rendered)
    texts = {"without": replaced(mirrored, MIRROR, ""), "shadow": mirrored}
    results: dict[str, list[Seen]] = {turn: [] for turn in texts}
    try:
        for number in range(given.rounds):
            for turn in texts if number % 2 else reversed(texts):
                reload(given, file, texts[turn])
                results[turn].append(load(given, given.requests))
    finally:
        reload(given, file, rendered)
    without, with_shadow = results["without"], results["shadow"]
    added = [
        100 * (b.percentile(0.99) / a.percentile(0.99) - 1)
        for a, b in zip(without, with_shadow, strict=True)
    ]
    return {
        "condition": condition,
        "rounds": given.rounds,
        "rows": given.rows,
        "requests": sum(seen.requests for seen in without + with_shadow),
        "failed": [seen.failed for seen in without + with_shadow if seen.failed],
        **figures("without", without),
        **figures("shadow", with_shadow),
        "p99_added_percent": [round(value, 1) for value in added],
        "p99_added_percent_median": round(statistics.median(added), 1),
    }


def with_sink(text: str) -> str:
    """Return the configuration with a server in nginx in place of the shadow."""
    text = replaced(text, SHADOW, f"proxy_pass http://{SINK}$request_uri;")
    end = text.rindex("}")
    return f"{text[:end]}    server {{\n        listen {SINK};\n        return 204;\n    }}\n}}\n"


def replaced(text: str, old: str, new: str) -> str:
    if text.count(old) != 1:
        raise SystemExit(f"The configuration of nginx does not contain {old.strip()!r} once.")
    return text.replace(old, new)


def reload(given: argparse.Namespace, file: Path, text: str) -> None:
    """Let nginx read another configuration. The file is the same one, which containers see."""
    file.write_text(text)
    command = ["docker", "kill", "--signal=HUP", f"{name(given)}-proxy-1"]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    time.sleep(RELOAD_SECONDS)


def figures(turn: str, results: list[Seen]) -> dict[str, float]:
    """Return percentiles of all requests, and the median of those of each turn."""
    pooled = Seen(milliseconds=[value for seen in results for value in seen.milliseconds])
    found = {}
    for label, part in {"p50": 0.5, "p99": 0.99}.items():
        found[f"{turn}_{label}_ms_pooled"] = round(pooled.percentile(part), 2)
        turns = statistics.median(seen.percentile(part) for seen in results)
        found[f"{turn}_{label}_ms_turns"] = round(turns, 2)
    return found


def load(given: argparse.Namespace, count: int) -> Seen:
    """Send requests with several copies of the example's row."""
    document = json.loads(example(given.port))
    rows = {key: value[:1] * given.rows for key, value in document.items()}
    body = json.dumps(rows).encode()
    with SteadyLoad(given.port, body, given.rate, count=count) as running:
        pass
    return running.seen


if __name__ == "__main__":
    main()
