"""Run an image at the limits that `modelpack deploy` computes, at the promised rate.

    python -m benchmarks.deployment IMAGE [--rate 100] [--seconds 20]

Requests of one row come at the promised rate, and each second one hostile body of the largest size
that is accepted. The counters of the cgroup show whether the container was throttled or killed:
first with the computed limits, then with half the memory.
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import yaml

MIB = 2**20
COUNTERS = """
import json
counters = {}
for path, keys in (
    ("cpu.stat", ("nr_throttled",)), ("cpu/cpu.stat", ("nr_throttled",)),
    ("memory.events", ("max", "oom_kill")), ("memory/memory.oom_control", ("oom_kill",)),
    ("memory/memory.failcnt", ()), ("memory/memory.max_usage_in_bytes", ()), ("memory.peak", ()),
):
    try:
        text = open("/sys/fs/cgroup/" + path).read()
    except OSError:
        continue
    pairs = dict(line.split() for line in text.splitlines() if len(line.split()) == 2)
    counters.update({key: int(pairs[key]) for key in keys if key in pairs})
    if not keys:
        counters[path.rpartition("/")[2]] = int(text)
print(json.dumps(counters))
"""


@dataclass
class Seen:
    """What the clients saw: statuses of requests of one row, and of large ones; latencies."""

    single: dict[str, int] = field(default_factory=dict)
    large: dict[str, int] = field(default_factory=dict)
    milliseconds: list[float] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image")
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = ["modelpack", "deploy", options.image, "--to", "compose", "--no-token", "--json"]
        command += ["-o", f"{folder}/deploy", f"--rate={options.rate}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        plan = {name: each["value"] for name, each in json.loads(done.stdout)["plan"].items()}
        text = Path(folder, "deploy/compose.yaml").read_text()
        service = yaml.safe_load(text)["services"]["model"]
    for share in (1.0, 0.5):
        memory = int(plan["memory_mib"] * share * MIB)
        print(json.dumps(measure(service, memory, options), sort_keys=True))


def measure(service: dict[str, Any], memory: int, options: argparse.Namespace) -> dict[str, Any]:
    limits = service["deploy"]["resources"]["limits"]
    with container(service, memory) as (running, port):
        result: dict[str, Any] = {"memory_mib": memory / MIB, "cpus": limits["cpus"]}
        if not is_ready(running, port):
            running.reload()
            return {**result, "ready": False, "oom_killed": running.attrs["State"]["OOMKilled"]}
        seen = Seen()
        with suppress(OSError, http.client.HTTPException):  # it has ended
            seen = request(port, options.rate, options.seconds, largest(service))
        for _ in range(3):  # a busy engine may lose the output
            with suppress(docker.errors.APIError, ValueError):  # as above
                result |= json.loads(running.exec_run(["python", "-c", COUNTERS]).output)
                break
        running.reload()
        state = running.attrs["State"]
        result |= {"ready": True, "oom_killed": state["OOMKilled"], "state": state["Status"]}
        logs = running.logs().decode()
        result["worker_killed"] = logs.count("SIGKILL") + logs.count("out of memory")
        times = sorted(seen.milliseconds) or [0.0]
        return {
            **result,
            "single": seen.single,
            "large": seen.large,
            "p50_ms": round(times[len(times) // 2], 2),
            "p99_ms": round(times[int(len(times) * 0.99)], 2),
        }


@contextmanager
def container(service: dict[str, Any], memory: int) -> Iterator[tuple[Any, int]]:
    """Run the container of a Compose file with another memory limit."""
    client = docker.from_env()
    limits = service["deploy"]["resources"]["limits"]
    running = client.containers.run(
        service["image"],
        detach=True,
        environment=service["environment"],
        user=service["user"],
        read_only=True,
        cap_drop=service["cap_drop"],
        security_opt=["no-new-privileges"],
        tmpfs={"/tmp": "rw,noexec,nosuid,nodev,size=64m"},
        pids_limit=limits["pids"],
        nano_cpus=int(float(limits["cpus"]) * 1e9),
        mem_limit=memory,
        memswap_limit=memory,
        ports={"8080/tcp": ("127.0.0.1", None)},
    )
    try:
        running.reload()
        yield running, int(running.ports["8080/tcp"][0]["HostPort"])
    finally:
        running.remove(force=True, v=True)
        client.close()


def largest(service: dict[str, Any]) -> bytes:
    """Return a body of the largest accepted size with as many short keys as possible."""
    size = int(service["environment"]["MODELPACK_MAX_BODY_BYTES"])
    pairs = ",".join(f'"{number:05x}":0' for number in range((size - 32) // 10))
    return f'{{"instances":[{{{pairs}}}]}}'.encode()


def is_ready(running: Any, port: int) -> bool:
    for _ in range(600):
        running.reload()
        if running.attrs["State"]["Status"] != "running":
            return False
        try:
            if send(connect(port), "GET", "/readyz")[0] == 200:
                return True
        except OSError:
            time.sleep(0.1)
    return False


def connect(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=30)


def send(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None
) -> tuple[int, bytes]:
    connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
    response = connection.getresponse()
    return response.status, response.read()


def request(port: int, rate: float, seconds: float, large: bytes) -> Seen:
    """Send requests of one row at a rate, and a large one each second."""
    document = json.loads(send(connect(port), "GET", "/openapi.json")[1])
    content = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    example = content.get("example") or next(iter(content["examples"].values()))["value"]
    body = json.dumps(example).encode()
    seen, clients = Seen(), 8
    end = time.monotonic() + seconds

    def repeat(statuses: dict[str, int], content: bytes, interval: float, start: float) -> None:
        connection, due = connect(port), time.monotonic() + start
        while due < end:
            time.sleep(max(0.0, due - time.monotonic()))
            started = time.monotonic()
            try:
                status = str(send(connection, "POST", "/predict", content)[0])
            except (OSError, http.client.HTTPException) as error:
                status, connection = type(error).__name__, connect(port)
            statuses[status] = statuses.get(status, 0) + 1
            if content is body:
                seen.milliseconds.append((time.monotonic() - started) * 1000)
            due += interval

    threads = [
        threading.Thread(target=repeat, args=(seen.single, body, clients / rate, number / rate))
        for number in range(clients)
    ]
    threads.append(threading.Thread(target=repeat, args=(seen.large, large, 1.0, 0.5)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen


if __name__ == "__main__":
    main()
