"""The rules, in the order in which they are reported.

A rule is a function whose docstring states what must be true, and one entry of the table. The
sources are recommendations of the CIS Docker Benchmark 1.6 and sections of NIST SP 800-190.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from modelpack.hardening.rules import config, contents, files
from modelpack.hardening.subject import Subject
from modelpack.types import Violation


@dataclass(frozen=True)
class Rule:
    """A rule that every image must follow. `sources` are the recommendations behind it."""

    name: str
    sources: tuple[str, ...]
    violations: Callable[[Subject], Iterator[Violation]]


RULES = (
    Rule("user", ("CIS 4.1", "NIST 4.1.2"), config.user_violations),
    Rule("any user", ("CIS 4.1", "NIST 4.1.2"), files.any_user_violations),
    Rule("set-user-ID", ("CIS 4.8", "NIST 4.1.2"), files.set_id_violations),
    Rule("writable", ("CIS 5.13", "NIST 4.1.2", "NIST 4.4.3"), files.writable_violations),
    Rule("owners", ("CIS 4.1", "NIST 4.1.2"), files.owners_violations),
    Rule("devices", ("CIS 5.18", "NIST 4.1.2"), files.devices_violations),
    Rule("tools", ("CIS 4.3", "NIST 4.1.2"), contents.tools_violations),
    Rule("leftovers", ("CIS 4.3", "NIST 4.1.2"), contents.leftovers_violations),
    Rule("base", ("CIS 4.2", "NIST 4.1.5"), contents.base_violations),
    Rule("distributions", ("CIS 4.11", "NIST 4.1.1"), contents.distributions_violations),
    Rule("byte code", ("NIST 4.1.3",), contents.byte_code_violations),
    Rule("model", ("CIS 4.12", "NIST 4.1.3"), contents.model_violations),
    Rule("build secrets", ("CIS 4.10", "NIST 4.1.4"), contents.build_secrets_violations),
    Rule("secrets", ("CIS 4.10", "NIST 4.1.4"), contents.lookalikes_violations),
    Rule("entrypoint", ("CIS 4.3", "NIST 4.1.2"), config.process_violations),
    Rule("environment", ("NIST 4.1.2",), config.environment_violations),
    Rule("healthcheck", ("CIS 4.6", "NIST 4.4.3"), config.health_violations),
    Rule("stop signal", ("NIST 4.1.2",), config.stop_signal_violations),
    Rule("ports", ("CIS 5.8", "CIS 5.9", "NIST 4.4.2"), config.ports_violations),
    Rule("volumes", ("CIS 5.13", "NIST 4.4.3"), config.volumes_violations),
    Rule("instructions", ("CIS 4.7", "CIS 4.9", "NIST 4.1.2"), config.instructions_violations),
    Rule("labels", ("CIS 4.12", "NIST 4.1.5"), config.labels_violations),
    Rule("times", ("NIST 4.1.5",), files.times_violations),
)
