"""Run two versions of a model at once with Compose, and measure the split and the shadow.

    python -m benchmarks.versions IMAGE IMAGE2 --proxy-image nginx [--weight 10] [--rate 100]

10,000 requests are divided between IMAGE and the canary IMAGE2. The latency with and without the
shadow IMAGE2 is measured in turns, with two deployments of IMAGE behind nginx.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.steady import Seen, SteadyLoad, example


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image")
    parser.add_argument("image2")
    parser.add_argument("--proxy-image", required=True)
    parser.add_argument("--port", type=int, default=18080)
    parser.add_argument("--weight", type=int, default=10)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--split", type=int, default=10_000, help="requests of the canary's test")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--requests", type=int, default=500, help="of one turn of a round")
    given = parser.parse_args()
    canary = ("--canary", given.image2, f"--weight={given.weight}")
    with deployed(given, given.port, *canary):
        print(json.dumps(split(given)), flush=True)
    other = given.port + 1
    with deployed(given, given.port), deployed(given, other, "--shadow", given.image2):
        print(json.dumps(shadow(given, other)))


@contextmanager
def deployed(given: argparse.Namespace, port: int, *arguments: str) -> Iterator[None]:
    """A deployment of the first image behind the proxy."""
    with tempfile.TemporaryDirectory() as folder:

        def run(*arguments: str) -> None:
            command = [sys.executable, "-m", "modelpack", "deploy", *arguments, "-o", folder]
            subprocess.run([*command, "--quiet"], stdout=subprocess.DEVNULL, check=True)

        options = ["--to=compose", f"--name=benchmark-{port}", "--no-token", "--proxy", "--apply"]
        options += [f"--proxy-image={given.proxy_image}", f"--port={port}", "--fail-on=never"]
        run(given.image, *options, f"--rate={given.rate}", *arguments)
        try:
            yield
        finally:
            run("--remove")


def split(given: argparse.Namespace) -> dict[str, object]:
    seen = load(given, given.port, given.split)
    share = 100 * sum(n for (_, version), n in seen.answers.items() if version == "canary")
    return {
        "requests": seen.requests,
        "failed": seen.failed,
        "weight": given.weight,
        "canary_percent": round(share / seen.requests, 2),
        "different_responses": len(seen.bodies),
    }


def shadow(given: argparse.Namespace, port: int) -> dict[str, object]:
    without: list[Seen] = []
    with_shadow: list[Seen] = []
    for number in range(given.rounds):
        turns = [(without, given.port), (with_shadow, port)]
        for results, each in turns if number % 2 else reversed(turns):
            results.append(load(given, each, given.requests))
    added = [
        100 * (b.percentile(0.99) / a.percentile(0.99) - 1)
        for a, b in zip(without, with_shadow, strict=True)
    ]
    return {
        "rounds": given.rounds,
        "requests": sum(seen.requests for seen in without + with_shadow),
        "failed": [seen.failed for seen in without + with_shadow if seen.failed],
        "without_p99_ms_pooled": round(pooled(without).percentile(0.99), 2),
        "shadow_p99_ms_pooled": round(pooled(with_shadow).percentile(0.99), 2),
        **figures("without", without),
        **figures("shadow", with_shadow),
        "p99_added_percent": [round(value, 1) for value in added],
        "p99_added_percent_median": round(statistics.median(added), 1),
    }


def pooled(results: list[Seen]) -> Seen:
    return Seen(milliseconds=[value for seen in results for value in seen.milliseconds])


def figures(name: str, results: list[Seen]) -> dict[str, float]:
    parts = {"p50": 0.5, "p99": 0.99}
    return {
        f"{name}_{label}_ms": round(statistics.median(seen.percentile(p) for seen in results), 2)
        for label, p in parts.items()
    }


def load(given: argparse.Namespace, port: int, count: int) -> Seen:
    with SteadyLoad(port, example(port), given.rate, count=count) as running:
        pass
    return running.seen


if __name__ == "__main__":
    main()
