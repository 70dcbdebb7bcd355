"""A folder predicted by several containers that are killed half-way, against one container.

    python -m benchmarks.batch_job IMAGE [--rows 1000000] [--shards 4] [--swarm]

IMAGE has the model of sample_models/iris, and pyarrow (modelpack package --requirement pyarrow).
Writes a folder of csv, json lines and parquet with its inputs and a column `id`. One container
predicts the folder. Then several predict it, are killed with SIGKILL when half of the parts are
finished, and start again; with --swarm, as the job that `modelpack deploy` writes, which the swarm
resumes. Each id must be in the output once, and the bytes must be those of the one container.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import docker
import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet
from pyarrow import json as json_lines

USER = 65532
NAME = "modelpack-benchmark"
STACK = f"{NAME}-batch"
INPUTS = [f"{part} {side} (cm)" for part in ("sepal", "petal") for side in ("length", "width")]
OPTIONS = ("--probabilities", "--keep", "id")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--swarm", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        write(folder / "rows", options.rows)
        for target in ("one", "many"):
            (folder / target).mkdir()
            (folder / target).chmod(0o777)
        started = time.perf_counter()
        (one,) = start(options.image, folder, "one", 1)
        print("one container:", finish([one])[0], f"{time.perf_counter() - started:.1f} s")
        run = in_swarm if options.swarm else in_containers
        started = time.perf_counter()
        finished = run(options, folder)
        print("finished when killed:", finished, f"{time.perf_counter() - started:.1f} s in all")
        print("report:", report(options.image, folder, "many"))
        assert tree(folder / "one") == tree(folder / "many"), "the bytes differ"
        ids = np.sort(read_ids(folder / "many"))
        assert np.array_equal(ids, np.arange(options.rows)), "a row is missing, or there twice"
        print(f"{len(ids):,} rows, each once, {len(tree(folder / 'one'))} parts of the same bytes")
        remove(options.image, folder)


def write(folder: Path, count: int) -> None:
    """Write half of the rows to a csv, a quarter to json lines and the rest to parquet."""
    folder.mkdir()
    numbers = np.random.default_rng(0).normal(4, 1, (count, 4)).round(2)
    columns = {"id": np.arange(count), **dict(zip(INPUTS, numbers.T, strict=True))}
    table, half, quarter = pa.table(columns), count // 2, count // 4
    csv.write_csv(table.slice(0, half), folder / "a.csv")
    with (folder / "b.jsonl").open("w") as file:
        for row in table.slice(half, quarter).to_pylist():
            file.write(json.dumps(row) + "\n")
    parquet.write_table(table.slice(half + quarter), folder / "c.parquet", row_group_size=33_333)


def start(image: str, folder: Path, target: str, shards: int) -> list:
    """Start containers that share a folder."""
    return [
        docker.from_env().containers.run(
            image,
            ["predict", "--folder", "/in", "/out", "--shard", f"{index}/{shards}", *OPTIONS],
            detach=True,
            network_mode="none",
            read_only=True,
            cap_drop=["ALL"],
            tmpfs={"/tmp": "size=64m"},
            volumes={
                str(folder / "rows"): {"bind": "/in", "mode": "ro"},
                str(folder / target): {"bind": "/out", "mode": "rw"},
            },
        )
        for index in range(1, shards + 1)
    ]


def finish(containers: Sequence) -> list[dict]:
    """Wait for containers, and return the reports that they print."""
    reports = []
    for container in containers:
        status = container.wait()["StatusCode"]
        assert status == 0, container.logs().decode()
        text = container.logs(stdout=True, stderr=False).decode()
        reports += [json.loads(text)] if text else []
        container.remove()
    return reports


def in_containers(options: argparse.Namespace, folder: Path) -> int:
    containers = start(options.image, folder, "many", options.shards)
    finished = wait_for_half(folder)
    for container in containers:
        container.kill("SIGKILL")
        container.remove()
    finish(start(options.image, folder, "many", options.shards))
    return finished


def in_swarm(options: argparse.Namespace, folder: Path) -> int:
    """Run the job of `modelpack deploy`, and kill its containers once."""
    target = str(folder / "deploy")
    command = ["modelpack", "deploy", options.image, "--to", "swarm", "-o", target, "--name", NAME]
    command += ["--batch", str(folder / "rows"), str(folder / "many"), "--quiet"]
    command += ["--batch-options", " ".join(OPTIONS), f"--replicas={options.shards}"]
    subprocess.run(command, check=True)
    subprocess.run(
        ["docker", "stack", "deploy", "--detach=true", "-c", f"{target}/job.yaml", STACK],
        check=True,
        capture_output=True,
    )
    try:
        finished = wait_for_half(folder)
        label = f"com.docker.swarm.service.name={STACK}_predict"
        running = docker.from_env().containers.list(filters={"label": label})
        for container in running:
            container.kill("SIGKILL")
        print(f"killed {len(running)} tasks of the swarm")
        wait((folder / "many" / "_modelpack" / "report.json").exists)
    finally:
        subprocess.run(["docker", "stack", "rm", STACK], check=True, capture_output=True)
    return finished


def wait_for_half(folder: Path) -> int:
    records = folder / "many" / "_modelpack"
    wait((records / "plan.json").exists)
    plan = json.loads((records / "plan.json").read_text())
    parts = sum(len(file["ranges"]) for file in plan["files"])
    wait(lambda: len(list((records / "parts").rglob("*.json"))) >= parts // 2)
    return len(list((records / "parts").rglob("*.json")))


def wait(is_done: Callable[[], bool], seconds: float = 500) -> None:
    deadline = time.monotonic() + seconds
    while not is_done():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.05)


def report(image: str, folder: Path, target: str) -> dict:
    volumes = ["-v", f"{folder / 'rows'}:/in:ro", "-v", f"{folder / target}:/out"]
    command = ["docker", "run", "--rm", "--network=none", *volumes, image, "predict"]
    command += ["--folder", "/in", "/out", "--report"]
    done = subprocess.run(command, check=True, capture_output=True)
    document: dict = json.loads(done.stdout)
    return document


def output_parts(folder: Path) -> list[Path]:
    paths = sorted(folder.rglob("part-*"))
    return [path for path in paths if "_modelpack" not in path.relative_to(folder).parts]


def tree(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in output_parts(folder)
    }


def read_ids(folder: Path) -> np.ndarray:
    readers = {".csv": csv.read_csv, ".jsonl": json_lines.read_json, ".parquet": parquet.read_table}
    tables = [readers[path.suffix](path) for path in output_parts(folder)]
    return np.concatenate([table["id"].to_numpy() for table in tables])


def remove(image: str, folder: Path) -> None:
    """Remove the output, whose folders belong to the user of the image."""
    code = "import pathlib, shutil; list(map(shutil.rmtree, pathlib.Path('/out').glob('[mo]*/*')))"
    volumes = ["-v", f"{folder}:/out"]
    command = ["docker", "run", "--rm", "--user=0", *volumes, "--entrypoint=python", image]
    subprocess.run([*command, "-c", code], check=True)


if __name__ == "__main__":
    main()
