"""What the flow may be told, what it tells on its way, and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelpack.engines import StepEvent
from modelpack.types import (
    Check,
    CheckStatus,
    Code,
    Environment,
    Image,
    ModelSpec,
    SmokeReport,
    to_json,
)

FAIL_ON = ("any", "breaking", "predictions", "never")
"""What `diff` may be told to fail on."""


@dataclass(frozen=True)
class Options:
    """What `package` may be told.

    `tag`: the image's reference; made from the file's name where None. `output`: the folder in
    which the bundle is kept; where None, an image's bundle is not kept, and a bundle without an
    image is written beside the current directory's other files. `requirements`: further or
    overriding requirements (PEP 508). `trust`: "module:name" of code outside the allowlist.
    `select`: the estimators to take from a file that holds several. `example`: rows (csv, json,
    jsonl, npy, parquet), `expected`: the predictions of them, for the smoke test to compare with.
    `tolerance`: the largest relative difference of floats that it lets pass.
    `code`: folders and files of the author's own modules; `code_vouched`: what is defined there
    may be loaded without `trust`.
    `slim_base`: the image gets no more of its base than serving takes.
    `allow_untested`: accept a service of which no prediction could be tested.
    `platform`: else the engine's; several with commas between them. `offline`: a wheelhouse, which
    takes the place of the network.
    """

    tag: str | None = None
    output: Path | None = None
    engine: str = "auto"
    base_image: str | None = None
    slim_base: bool = False
    python: str | None = None
    requirements: tuple[str, ...] = ()
    trust: tuple[str, ...] = ()
    select: tuple[str, ...] = ()
    code: tuple[Path, ...] = ()
    code_vouched: bool = True
    ca_cert: Path | None = None
    index_url: str | None = None
    platform: str | None = None
    offline: Path | None = None
    smoke: bool = True
    example: Path | None = None
    expected: Path | None = None
    tolerance: float = 0.0
    allow_untested: bool = False

    def accepts(self, report: SmokeReport) -> bool:
        """Whether a service with this report may be named and used."""
        return report.passed or (self.allow_untested and report.status == "untested")


@dataclass(frozen=True)
class ForPlatform:
    """What was made for one of several platforms. `smoke`: what was found; of an image that this
    machine does not run, by reading it.
    """

    environment: Environment
    image: Image
    smoke: SmokeReport | None

    def to_json(self) -> dict[str, Any]:
        return {
            "platform": self.environment.platform,
            "requirements": dict(self.environment.requirements),
            "image": {"id": self.image.id, "size_bytes": self.image.size_bytes},
            "smoke": self.smoke and to_json(self.smoke),
        }


@dataclass(frozen=True)
class Package:
    """What `package` made. `bundle` is None where it was not kept, `image` where no container
    engine is there, `smoke` where it was not wanted. `seconds` per stage. `platforms`: where the
    image is for several; `environment` is of the first, which this machine runs, and so is `smoke`,
    unless the image for another one failed. `engine`: the one that keeps the image.
    """

    model: ModelSpec
    environment: Environment
    bundle: str | None
    image: Image | None
    smoke: SmokeReport | None
    seconds: Mapping[str, float]
    code: Code = field(default_factory=Code)
    platforms: tuple[ForPlatform, ...] = ()
    engine: str = "docker"

    def to_json(self) -> dict[str, Any]:
        """The document of `modelpack package --json`."""
        image, several = self.image, [each.to_json() for each in self.platforms]
        return {
            "model": to_json(self.model),
            "environment": {
                "python": self.environment.python,
                "platform": self.environment.platform,
                "requirements": dict(self.environment.requirements),
                "origins": dict(self.environment.origins),
                "warnings": list(self.environment.warnings),
                "sdists": list(self.environment.sdists),
            },
            "code": to_json(self.code),
            "bundle": self.bundle,
            "image": image
            and {"reference": image.reference, "id": image.id, "size_bytes": image.size_bytes},
            "smoke": self.smoke and to_json(self.smoke),
            **({"platforms": several} if several else {}),
            "seconds": dict(self.seconds),
        }


class Observer:
    """Told of everything that happens; does nothing by itself."""

    def stage_started(self, name: str) -> None: ...
    def stage_done(
        self, name: str, seconds: float, summary: str, status: CheckStatus = "passed"
    ) -> None: ...
    def stage_failed(self) -> None: ...
    def locked(self, environment: Environment, model: ModelSpec) -> None: ...
    def step(self, event: StepEvent) -> None: ...
    def transfer(self, layer: str, done: int, total: int) -> None: ...
    def check(self, check: Check) -> None: ...
    def notice(self, message: str) -> None: ...
