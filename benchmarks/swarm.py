"""Update, kill and drain replicas in a Swarm under a steady load, and count failed requests.

    python -m benchmarks.swarm IMAGE IMAGE2 BROKEN --proxy-image nginx [--requests 50000]

IMAGE2 is a retrained model, and BROKEN an image whose service does not start. Three replicas run
behind the proxy. All steps are commands of a user: `modelpack deploy --apply`, `docker kill`,
`docker node update`. A second node is drained if one has joined the swarm. On one machine:

    sh scripts/two_engines.sh "IMAGE IMAGE2 BROKEN nginx" python -m benchmarks.swarm IMAGE ...
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.steady import Seen, SteadyLoad, example

NAME = "benchmark-swarm"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image")
    parser.add_argument("image2")
    parser.add_argument("broken")
    parser.add_argument("--proxy-image", required=True)
    parser.add_argument("--port", type=int, default=18081)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--requests", type=int, default=50_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, swarm():
        deployed = Deployed(given, folder)
        try:
            deployed.apply(given.image)
            run_steps(given, deployed)
        finally:
            deployed.run("--remove")


class Deployed:
    """The stack of the benchmark."""

    def __init__(self, given: argparse.Namespace, folder: str) -> None:
        self._given, self._folder = given, folder

    def apply(self, image: str, *arguments: str) -> int:
        given = self._given
        options = ["--to=swarm", f"--name={NAME}", "--no-token", "--proxy", "--publish=host"]
        options += ["--replicas=3", f"--port={given.port}", f"--proxy-image={given.proxy_image}"]
        return self.run(image, *options, f"--rate={given.rate}", "--apply", *arguments)

    def run(self, *arguments: str) -> int:
        command = [sys.executable, "-m", "modelpack", "deploy", *arguments, "-o", self._folder]
        return subprocess.run(
            [*command, "--quiet"], stdout=subprocess.DEVNULL, check=False
        ).returncode

    @property
    def record(self) -> Path:
        return Path(self._folder, "deployment.json")


def run_steps(given: argparse.Namespace, deployed: Deployed) -> None:
    body = example(given.port)
    with SteadyLoad(given.port, body, given.rate) as load:
        step = Steps(load)
        step("nothing", lambda: time.sleep(10))
        step("update to the retrained model", lambda: deployed.apply(given.image2))
        step("update back", lambda: deployed.apply(given.image))
        step("kill a replica", kill_and_wait)
        step("broken model", lambda: apply_broken(given, deployed))
        drain(step)
        step("the rest", lambda: wait_for(lambda: load.seen.requests >= given.requests, 3600))
    print(json.dumps({"all": summary(load.seen, Seen())}))


class Steps:
    """Runs steps under the load, and prints what the clients saw during each."""

    def __init__(self, load: SteadyLoad) -> None:
        self._load = load

    def __call__(self, name: str, action: Callable[[], object]) -> None:
        before, started = copy(self._load.seen), time.monotonic()
        result = action()
        time.sleep(2)
        seconds = round(time.monotonic() - started, 1)
        document = {"step": name, "seconds": seconds, **summary(self._load.seen, before)}
        print(json.dumps(document | ({"result": result} if result is not None else {})), flush=True)


def copy(seen: Seen) -> Seen:
    return Seen(seen.answers.copy(), seen.bodies.copy(), list(seen.milliseconds), seen.reopened)


def summary(seen: Seen, before: Seen) -> dict[str, object]:
    part = Seen(
        seen.answers - before.answers,
        seen.bodies - before.bodies,
        seen.milliseconds[len(before.milliseconds) :],
        seen.reopened - before.reopened,
    )
    return {
        "requests": part.requests,
        "failed": part.failed,
        "reopened": part.reopened,
        "predictions": {body.decode(): count for body, count in part.bodies.items()},
        "p50_ms": round(part.percentile(0.5), 1),
        "p99_ms": round(part.percentile(0.99), 1),
        "max_ms": round(part.percentile(1.0), 1),
    }


def apply_broken(given: argparse.Namespace, deployed: Deployed) -> int:
    """Deploy the broken model with the measurements of the good one, as its smoke test fails."""
    report = Path(deployed.record.parent, "measurements.json")
    report.write_text(json.dumps(json.loads(deployed.record.read_text())["report"]))
    try:
        return deployed.apply(given.broken, f"--measurements={report}")
    finally:
        report.unlink()


def kill_and_wait() -> None:
    """Kill a replica of this machine, and wait until three run again."""
    name = f"label=com.docker.swarm.service.name={NAME}_model"
    running = docker("ps", "--quiet", "--filter", name).split()
    docker("kill", running[0])
    time.sleep(1)
    wait_for(lambda: replicas() == "3/3", 120)


def replicas() -> str:
    listed = docker("service", "ls", "--format={{.Replicas}}", f"--filter=name={NAME}_model")
    return listed.split()[0]


def drain(step: Steps) -> None:
    nodes = docker("node", "ls", "--filter", "role=worker", "--quiet").split()
    if not nodes:
        print(json.dumps({"step": "drain a node", "result": "not run: the swarm has one node"}))
        return
    step("drain a node", lambda: drain_and_wait(nodes[0], "drain"))
    step("activate the node", lambda: drain_and_wait(nodes[0], "active"))


def drain_and_wait(node: str, availability: str) -> dict[str, int]:
    before = tasks(node)
    docker("node", "update", "--availability", availability, node)
    if availability == "drain":
        wait_for(lambda: tasks(node) == 0, 120)
        time.sleep(10)
    return {"replicas_before": before, "replicas_after": tasks(node)}


def tasks(node: str) -> int:
    listed = docker("node", "ps", node, "--filter", "desired-state=running", "--format={{.Name}}")
    return sum(line.startswith(f"{NAME}_model") for line in listed.splitlines())


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.5)


def docker(*arguments: str) -> str:
    command = ["docker", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@contextmanager
def swarm() -> Iterator[None]:
    """A swarm of this machine. One that exists is used, and left as it is."""
    state = docker("info", "--format={{.Swarm.LocalNodeState}}").strip()
    if state == "inactive":
        docker("swarm", "init", "--advertise-addr", "127.0.0.1")
    try:
        yield
    finally:
        if state == "inactive":
            docker("swarm", "leave", "--force")


if __name__ == "__main__":
    main()
