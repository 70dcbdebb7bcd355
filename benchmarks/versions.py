"""Run two versions of a model at once with Compose, and measure the split and the shadow.

    python -m benchmarks.versions IMAGE IMAGE2 --proxy-image nginx [--weight 10] [--rate 100]

First, 10,000 requests are divided between IMAGE and the canary IMAGE2. Then the latency with and
without the shadow IMAGE2 is measured in turns, with the same containers of IMAGE and of nginx.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmarks.steady import Seen, SteadyLoad, example

REQUESTS = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image")
    parser.add_argument("image2")
    parser.add_argument("--proxy-image", required=True)
    parser.add_argument("--port", type=int, default=18080)
    parser.add_argument("--weight", type=int, default=10)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--requests", type=int, default=2000, help="of one turn of a round")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, deployment(given, folder) as apply:
        print(json.dumps(split(given, apply)))
        print(json.dumps(shadow(given, apply)))


@contextmanager
def deployment(given: argparse.Namespace, folder: str) -> Iterator[Callable[..., None]]:
    def run(*arguments: str) -> None:
        command = [sys.executable, "-m", "modelpack", "deploy", *arguments, "-o", folder, "--quiet"]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)

    def apply(*arguments: str) -> None:
        options = ("--to", "compose", "--name", "benchmark-versions", "--no-token", "--proxy")
        proxy = ("--proxy-image", given.proxy_image, "--port", str(given.port))
        rate = (f"--rate={given.rate}", "--fail-on=never", "--apply")
        run(given.image, *options, *proxy, *rate, *arguments)

    try:
        yield apply
    finally:
        run("--remove")


def split(given: argparse.Namespace, apply: Callable[..., None]) -> dict[str, object]:
    apply("--canary", given.image2, f"--weight={given.weight}")
    seen = load(given, REQUESTS)
    share = 100 * sum(n for (_, version), n in seen.answers.items() if version == "canary")
    return {
        "requests": seen.requests,
        "failed": seen.failed,
        "weight": given.weight,
        "canary_percent": round(share / seen.requests, 2),
        "different_responses": len(seen.bodies),
    }


def shadow(given: argparse.Namespace, apply: Callable[..., None]) -> dict[str, object]:
    without: list[Seen] = []
    with_shadow: list[Seen] = []
    for number in range(given.rounds):
        turns: list[tuple[list[Seen], list[str]]]
        turns = [(without, []), (with_shadow, ["--shadow", given.image2])]
        for results, options in turns if number % 2 else reversed(turns):
            apply(*options)
            load(given, 200)
            results.append(load(given, given.requests))
    added = [
        100 * (b.percentile(0.99) / a.percentile(0.99) - 1)
        for a, b in zip(without, with_shadow, strict=True)
    ]
    return {
        "rounds": given.rounds,
        "requests": sum(seen.requests for seen in without + with_shadow),
        "failed": [seen.failed for seen in without + with_shadow if seen.failed],
        **figures("without", without),
        **figures("shadow", with_shadow),
        "p99_added_percent": [round(value, 1) for value in added],
        "p99_added_percent_median": round(statistics.median(added), 1),
    }


def figures(name: str, results: list[Seen]) -> dict[str, float]:
    parts = {"p50": 0.5, "p99": 0.99}
    return {
        f"{name}_{label}_ms": round(statistics.median(seen.percentile(p) for seen in results), 2)
        for label, p in parts.items()
    }


def load(given: argparse.Namespace, count: int) -> Seen:
    with SteadyLoad(given.port, example(given.port), given.rate, count=count) as running:
        pass
    return running.seen


if __name__ == "__main__":
    main()
