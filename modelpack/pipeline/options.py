"""Options of the pipeline, and the observer of its progress."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from modelpack.engines import StepEvent
from modelpack.types import Check, CheckStatus, Environment, ModelSpec, SmokeReport

FAIL_ON = ("any", "breaking", "predictions", "never")
"""The values of `diff --fail-on`."""


@dataclass(frozen=True)
class Options:
    """The options of all commands.

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
        """Return whether a service with this report may be tagged and used."""
        return report.passed or (self.allow_untested and report.status == "untested")


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
