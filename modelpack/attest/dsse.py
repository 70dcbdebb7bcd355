"""Statements in signed envelopes.

Source: github.com/secure-systems-lab/dsse, envelope.md and protocol.md.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from modelpack.attest.keys import Signer, Verifier

MEDIA_TYPE = "application/vnd.dsse.envelope.v1+json"
IN_TOTO = "application/vnd.in-toto+json"


def envelope(statement: Mapping[str, Any], signer: Signer) -> bytes:
    payload = json.dumps(statement, ensure_ascii=True, separators=(",", ":")).encode()
    signature = base64.b64encode(signer.sign(_encoded(payload))).decode()
    signed = {
        "payloadType": IN_TOTO,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": "", "sig": signature}],
    }
    return json.dumps(signed, separators=(",", ":")).encode()


def opened(envelope: bytes, verifier: Verifier) -> dict[str, Any] | None:
    """The statement, if the key has signed it; None if not, or if this is none."""
    try:
        document = json.loads(envelope)
        payload = base64.b64decode(document["payload"], validate=True)
        signatures = [base64.b64decode(entry["sig"]) for entry in document["signatures"]]
        if document["payloadType"] != IN_TOTO:
            return None
        if not any(verifier.accepts(_encoded(payload), signature) for signature in signatures):
            return None
        statement = json.loads(payload)
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return statement if isinstance(statement, dict) else None


def _encoded(payload: bytes) -> bytes:
    """What is signed: the payload with its type, so that one cannot stand for another."""
    kind = IN_TOTO.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
