"""What vouches for an image, put beside it in its registry once it has been pushed."""

from __future__ import annotations

from pathlib import Path

from modelpack.attestations import keys

from .run import Run


class Voucher:
    """Made before anything is pushed, so that a key that cannot be used is told of in time.

    Raises:
        UsageError: there is no such key, or the password does not open it.
    """

    def __init__(self, key: Path | None = None, password: keys.Password = str) -> None:
        self._signer = keys.signer(key, password) if key else None

    @property
    def signs(self) -> bool:
        return self._signer is not None

    def vouch(self, run: Run, reference: str) -> None:
        """`reference`: with the digest that was pushed, whatever a tag stands for by now.

        Raises:
            ModelpackError: the registry refuses, or the image is none of modelpack.
        """
        from modelpack.attestations import registry  # noqa: PLC0415 - brings requests, 60 ms

        with run.stage("vouch") as summary, registry.open_registry_image(reference) as place:
            there = registry.attach_attestations(place, self._signer)
            attached = "SBOM and provenance attached" if there else "no SBOM nor provenance in it"
            signed = "signed" if self._signer else "not signed: no --key"
            summary.append(f"{attached}; {signed}")
