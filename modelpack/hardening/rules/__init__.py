"""The rules, in the order in which they are reported.

A rule is a module with a `NAME`, its `SOURCES` (the recommendation of the CIS Docker Benchmark 1.6,
the section of NIST SP 800-190), a docstring that says what must hold, and
`violations(image: Subject) -> Iterator[Violation]`, which gives what does not.
"""

from __future__ import annotations

from modelpack.hardening.rules import (
    any_user,
    base,
    build_secrets,
    byte_code,
    devices,
    distributions,
    environment,
    health,
    instructions,
    labels,
    leftovers,
    lookalikes,
    model,
    owners,
    ports,
    process,
    set_id,
    stop_signal,
    times,
    tools,
    user,
    volumes,
    writable,
)

RULES = (
    user,
    any_user,
    set_id,
    writable,
    owners,
    devices,
    tools,
    leftovers,
    base,
    distributions,
    byte_code,
    model,
    build_secrets,
    lookalikes,
    process,
    environment,
    health,
    stop_signal,
    ports,
    volumes,
    instructions,
    labels,
    times,
)
