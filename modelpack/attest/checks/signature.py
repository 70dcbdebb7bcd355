"""The key has signed the image, by the digest of its manifest."""

from __future__ import annotations

from modelpack.attest import cosign
from modelpack.attest.subject import Subject, Verdict
from modelpack.errors import NotVouchedError

_HINT = "Ask whoever made it for the key that goes with it, or do not run it."


def check(subject: Subject) -> Verdict:
    """The key has signed the image, by the digest of its manifest."""
    beside = subject.beside
    if beside is None:
        return Verdict("signature", "unknown", "none: signatures are kept in a registry")
    count = len(beside.signatures)
    if subject.verifier is None:
        there = f"{count} there, none of them looked at" if count else "there is none"
        return Verdict(
            "signature", "unknown", f"no key given ({there}): nothing says who made this image"
        )
    if not count:
        raise NotVouchedError(
            f"Nobody has signed the image {beside.digest}.",
            hint="Do not run it, unless you know who made it. Its maker signs it by: modelpack push"
            " REF --key cosign.key",
        )
    if not any(
        cosign.is_signature(part, beside.digest, subject.verifier) for part in beside.signatures
    ):
        raise NotVouchedError(
            f"The image is signed {count} times, and none of these is by this key and of this"
            " content: it was made or changed by somebody else."
            if count > 1
            else "The image has a signature that is not by this key or not of this content: it was"
            " made or changed by somebody else.",
            hint=_HINT,
        )
    return Verdict("signature", "holds", f"by this key, of {beside.digest}")
