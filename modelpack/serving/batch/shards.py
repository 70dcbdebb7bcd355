"""Which part of a job this process has: `--shard K/N`, or a variable of its platform."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Mapping

INDEXES = (
    "MODELPACK_SHARD",  # of deployments to Docker Swarm, and of users
    "JOB_COMPLETION_INDEX",  # of a Job of Kubernetes with completionMode: Indexed
    "CLOUD_RUN_TASK_INDEX",
    "AWS_BATCH_JOB_ARRAY_INDEX",
)
"""Variables with the number of a shard, counted from 0."""
MAX_SHARDS = 100_000


@dataclass(frozen=True)
class Shard:
    """One of `count` processes that share a job. `index` is counted from 0."""

    index: int = 0
    count: int = 1


def parse(text: str) -> Shard:
    """Return the shard in `K/N`. Raise ValueError if it is not one."""
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text, re.ASCII)
    if not match or not 0 < int(match[1]) <= int(match[2]) <= MAX_SHARDS:
        raise ValueError(f"expected a number and a count, such as 2/8, with at most {MAX_SHARDS}")
    return Shard(int(match[1]) - 1, int(match[2]))


def from_environment(count: int, environ: Mapping[str, str]) -> Shard:
    """Return the shard that the platform sets. Raise ValueError if there is no valid one."""
    for variable in INDEXES:
        text = environ.get(variable)
        if not text:
            continue
        if not re.fullmatch("[0-9]{1,6}", text, re.ASCII):
            raise ValueError(f"{variable} is {text[:100]!a}, not a number")
        index = int(text)
        if index >= count:
            raise ValueError(f"{variable} is {index}, but there are {count} shards, from 0")
        return Shard(index, count)
    raise ValueError(f"none of these variables is set: {', '.join(INDEXES)}")
