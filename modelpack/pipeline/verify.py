"""`verify`: attestations first, then the smoke test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modelpack.attestations import keys
from modelpack.attestations.checks import run_checks
from modelpack.attestations.provenance import recorded_claim
from modelpack.attestations.subject import Subject, Verdict
from modelpack.errors import UsageError, VerificationError
from modelpack.oci.reference import ImageReference
from modelpack.parity.claims import UNTESTED
from modelpack.types import Parity, SmokeReport, to_json

from .smoke import require_passed, smoke_target
from .stages import Pipeline
from .targets import Target, TargetKind, as_registry, open_image

_RUN_IT = (
    "The image is not run, because no engine has it. Load it into one, then: modelpack smoke NAME"
)


@dataclass(frozen=True)
class Verification:
    """The result of `verify`.

    Attributes:
        digest: Of the manifest, if the image has one.
        signed: Whether the key signed the image, or None without a key.
        smoke: None if the image was not run, as if an attestation is wrong.
    """

    target: str
    digest: str | None
    signed: bool | None
    checks: tuple[Verdict, ...]
    smoke: SmokeReport | None = None
    allow_untested: bool = False

    @property
    def verified(self) -> bool:
        if self.smoke is None or self.smoke.passed:
            return self.attested
        return self.attested and self.allow_untested and self.smoke.status == "untested"

    @property
    def attested(self) -> bool:
        return all(verdict.state != "fails" for verdict in self.checks)

    def to_json(self) -> dict[str, Any]:
        """Return the document of `modelpack verify --json`."""
        return {
            "target": self.target,
            "digest": self.digest,
            "verified": self.verified,
            "signed": self.signed,
            "checks": [
                {"name": v.name, "verdict": v.state, "detail": v.detail, "hint": v.hint}
                for v in self.checks
            ],
            "smoke": self.smoke and to_json(self.smoke),
        }


def verify(run: Pipeline, target: Target, key: Path | None = None) -> Verification:
    """Verify the attestations of an image, then run its smoke test if the options allow it.

    Raises:
        UsageError: There is no such image, or no such key.
        NoEngineError: The image must be run, and no engine can.
    """
    if target.kind is TargetKind.IMAGE and (key or target.reference.has_registry):
        target = as_registry(target)
    is_on_disk = target.kind in {TargetKind.LAYOUT, TargetKind.ARCHIVE}
    if key and is_on_disk:
        raise UsageError(
            f"{target.text} has no signature: only a registry keeps signatures.",
            hint="Leave out --key, or give the image's name in a registry.",
        )
    verifier = keys.verifier(key) if key else None
    with _subject(run, target) as without_key:
        subject = replace(without_key, verifier=verifier)
        with run.stage("verify") as summary:
            verdicts = tuple(run_checks(subject))
            count = sum(verdict.state == "holds" for verdict in verdicts)
            summary.append(f"{count} of {len(verdicts)} checks passed")
        digest = subject.attachments.digest if subject.attachments else subject.image.digest
        signed = None if key is None else verdicts[0].state == "holds"
        outcome = Verification(
            target.text, digest, signed, verdicts, allow_untested=run.options.allow_untested
        )
        if not (outcome.attested and run.options.smoke):
            return outcome
        if is_on_disk:
            run.observer.notice(_RUN_IT)
            return outcome
        return _run_smoke_test(run, outcome, recorded_claim(subject.provenance).parity)


def require_verified(outcome: Verification) -> None:
    """Require that all checks of an image passed.

    Raises:
        VerificationError: An attestation is wrong; the message names the first.
        SmokeFailedError: The smoke test failed.
    """
    if outcome.smoke:
        require_passed(outcome.smoke, allow_untested=outcome.allow_untested)
    failed = next((verdict for verdict in outcome.checks if verdict.state == "fails"), None)
    if failed:
        raise VerificationError(
            f"{outcome.target}, {failed.name}: {failed.detail}", hint=failed.hint
        )


def _run_smoke_test(run: Pipeline, outcome: Verification, claim: Parity | None) -> Verification:
    """Run the smoke test with the tolerance that the image claims."""
    if claim:
        tolerance = max(claim.tolerance, run.options.tolerance)
        run.options = replace(run.options, tolerance=tolerance)
    with _runnable(run, outcome) as name:
        report = smoke_target(run, Target(name, TargetKind.IMAGE))
    return replace(outcome, smoke=report, checks=(*outcome.checks, _parity(claim, report.parity)))


# --- where images are ----------------------------------------------------------------------------


@contextmanager
def _subject(run: Pipeline, target: Target) -> Iterator[Subject]:
    if target.kind is TargetKind.REGISTRY:
        from modelpack.attestations import registry  # noqa: PLC0415 - brings requests, 60 ms

        with registry.open_registry_image(target.text) as registry_image:
            platform = run.options.platform
            if platform is None and run.options.smoke:
                platform = run.engine.platform
            yield Subject(*registry.find_attestations(registry_image, platform))
    else:
        with open_image(run, target) as image:
            yield Subject(image)


@contextmanager
def _runnable(run: Pipeline, outcome: Verification) -> Iterator[str]:
    """Yield the name of the verified image for an engine: by digest, because tags can move."""
    if outcome.digest is None:
        yield outcome.target
        return
    verified = ImageReference.parse(outcome.target).with_digest(outcome.digest)
    images = run.engine.require_images(f"{outcome.target} cannot be run", "add --no-smoke")
    with images.pull_temporarily(str(verified)) as name:
        yield name


def _parity(claim: Parity | None, tested: Parity | None) -> Verdict:
    if claim is None:
        return Verdict("parity", "unknown", "the image claims no parity")
    if claim.source == UNTESTED.source:
        return Verdict("parity", "unknown", "no prediction was tested, according to the image")
    how = f"within {claim.tolerance:g}" if claim.tolerance else "exact"
    text = f"claimed: {how}, {claim.rows} rows (source: {claim.source})"
    if tested is None:
        return Verdict("parity", "unknown", f"{text}; no rows to query: --example FILE")
    if not tested.passed:
        return Verdict("parity", "fails", f"{text}; the predictions differ", "See the smoke test.")
    return Verdict(
        "parity", "holds", f"{text}; tested: {tested.rows} rows (source: {tested.source})"
    )
