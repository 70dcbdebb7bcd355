"""What vouches for an image, put beside it in its registry once it has been pushed."""

from __future__ import annotations

from pathlib import Path

from modelpack.attest import attaching, keys
from modelpack.oci.registry import connected

from .run import Run


class Voucher:
    """Made before anything is pushed, so that a key that cannot be used is told of in time.

    Raises:
        UsageError: there is no such key, or the password does not open it.
    """

    def __init__(self, key: Path | None, password: keys.Password) -> None:
        self._signer = keys.signer(key, password) if key else None

    def vouch(self, run: Run, reference: str, *, plain_http: bool = False) -> None:
        """`reference`: with the digest that was pushed, whatever a tag stands for by now.

        Raises:
            ModelpackError: the registry refuses, or the image is none of modelpack.
        """
        with run.stage("vouch") as summary, connected(reference, plain_http=plain_http) as place:
            attaching.vouch(place, self._signer)
            told = (
                "attached and signed" if self._signer else "attached, and nobody's word: no --key"
            )
            summary.append(f"SBOM and provenance {told}")
