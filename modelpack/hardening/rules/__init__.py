"""The rules, in the order in which they are reported.

A rule is a function whose docstring states what must be true, and one entry of the table. The
sources are recommendations of the CIS Docker Benchmark 1.6 and sections of NIST SP 800-190.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

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
from modelpack.hardening.subject import Subject
from modelpack.types import Violation


@dataclass(frozen=True)
class Rule:
    """A rule that every image must follow.

    Attributes:
        name: As reports show it.
        sources: The recommendations it is taken from.
        violations: Returns what does not follow the rule.
    """

    name: str
    sources: tuple[str, ...]
    violations: Callable[[Subject], Iterator[Violation]]


RULES = (
    Rule("user", ("CIS 4.1", "NIST 4.1.2"), user.violations),
    Rule("any user", ("CIS 4.1", "NIST 4.1.2"), any_user.violations),
    Rule("set-user-ID", ("CIS 4.8", "NIST 4.1.2"), set_id.violations),
    Rule("writable", ("CIS 5.13", "NIST 4.1.2", "NIST 4.4.3"), writable.violations),
    Rule("owners", ("CIS 4.1", "NIST 4.1.2"), owners.violations),
    Rule("devices", ("CIS 5.18", "NIST 4.1.2"), devices.violations),
    Rule("tools", ("CIS 4.3", "NIST 4.1.2"), tools.violations),
    Rule("leftovers", ("CIS 4.3", "NIST 4.1.2"), leftovers.violations),
    Rule("base", ("CIS 4.2", "NIST 4.1.5"), base.violations),
    Rule("distributions", ("CIS 4.11", "NIST 4.1.1"), distributions.violations),
    Rule("byte code", ("NIST 4.1.3",), byte_code.violations),
    Rule("model", ("CIS 4.12", "NIST 4.1.3"), model.violations),
    Rule("build secrets", ("CIS 4.10", "NIST 4.1.4"), build_secrets.violations),
    Rule("secrets", ("CIS 4.10", "NIST 4.1.4"), lookalikes.violations),
    Rule("entrypoint", ("CIS 4.3", "NIST 4.1.2"), process.violations),
    Rule("environment", ("NIST 4.1.2",), environment.violations),
    Rule("healthcheck", ("CIS 4.6", "NIST 4.4.3"), health.violations),
    Rule("stop signal", ("NIST 4.1.2",), stop_signal.violations),
    Rule("ports", ("CIS 5.8", "CIS 5.9", "NIST 4.4.2"), ports.violations),
    Rule("volumes", ("CIS 5.13", "NIST 4.4.3"), volumes.violations),
    Rule("instructions", ("CIS 4.7", "CIS 4.9", "NIST 4.1.2"), instructions.violations),
    Rule("labels", ("CIS 4.12", "NIST 4.1.5"), labels.violations),
    Rule("times", ("NIST 4.1.5",), times.violations),
)
