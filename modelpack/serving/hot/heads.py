"""The heads of plain requests: what each asks for, found once.

Of the headers, those that differ from one request to the next are read by themselves. A head that
is the same without them as one that was seen before is understood by looking it up.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Mapping, NamedTuple

from flask import Flask, Request

from .. import auth
from ..headers import closes
from ..observe import Given
from ..questions import Offer, Read

VARYING = re.compile(
    rb"\r\n(content-length|x-request-id|traceparent|tracestate): ?([\x21-\x7e]{1,512})(?=\r\n)",
    re.IGNORECASE,
)
LENGTH = re.compile(rb"[0-9]{1,9}")
NONE = Given()
MOST_HEADS = 512
MOST_HEAD_BYTES = 4096

Environ = Mapping[str, Any]


class Kind(NamedTuple):
    """What all heads ask for that differ only in ids and lengths. `closes`: the connection."""

    offer: Offer
    read: Read
    closes: bool


class Plain(NamedTuple):
    """The head of a plain request. `length`: of its body, in bytes."""

    kind: Kind
    length: int
    given: Given


class Heads:
    """Of requests to `offers`, a table by path, of `app`. `most`: bytes of a body."""

    def __init__(self, app: Flask, offers: Mapping[str, Offer], most: int) -> None:
        self._app = app
        self._offers = offers
        self._most = most
        self._plain: dict[bytes, Plain] = {}
        self._kinds: dict[bytes, Kind | None] = {}

    def plain(self, raw: bytes, environ: Callable[[bytes], Environ]) -> Plain | None:
        """What a head asks for; None if it is not plain. `environ`: from a head to its WSGI
        environ, if it is sound.
        """
        plain = self._plain.get(raw)
        if plain is None and len(raw) <= MOST_HEAD_BYTES:
            plain = self._read(raw, environ)
            if plain is not None and plain.given == NONE:
                _keep(self._plain, raw, plain)
        return plain

    def _read(self, raw: bytes, environ: Callable[[bytes], Environ]) -> Plain | None:
        found = [(name.lower(), value) for name, value in VARYING.findall(raw)]
        told = dict(found)
        length = told.get(b"content-length", b"")
        if len(told) < len(found) or not LENGTH.fullmatch(length) or int(length) > self._most:
            return None
        key = VARYING.sub(b"", raw)
        if key not in self._kinds:
            _keep(self._kinds, key, self._kind(raw, environ))
        kind = self._kinds[key]
        if kind is None:
            return None
        ids = (told.get(name) for name in (b"x-request-id", b"traceparent", b"tracestate"))
        given = (None if value is None else value.decode("ascii") for value in ids)
        return Plain(kind, int(length), Given(*given))

    def _kind(self, raw: bytes, environ: Callable[[bytes], Environ]) -> Kind | None:
        """Whatever is unusual here is nothing for this path, and no mistake of ours."""
        try:
            made = environ(raw)
            offer = self._offers.get(made["PATH_INFO"])
            if offer is None or not _is_plain(made) or not auth.passes(self._app, made):
                return None
            ends = closes(made.get("HTTP_CONNECTION", ""), newer=True)
            return Kind(offer, offer.ask(Request(dict(made))), ends)
        except Exception:
            return None


def _is_plain(environ: Environ) -> bool:
    """Whether a request of this head is POSTed as most are."""
    return (
        environ["REQUEST_METHOD"] == "POST"
        and environ["SERVER_PROTOCOL"] == "HTTP/1.1"
        and not environ.get("SCRIPT_NAME")
        and not {"HTTP_EXPECT", "HTTP_CONTENT_ENCODING", "HTTP_TRANSFER_ENCODING"} & environ.keys()
    )


def _keep(known: dict[bytes, Any], key: bytes, value: Any) -> None:
    """No more than so many: clients may send a new one each time."""
    if len(known) >= MOST_HEADS:
        known.clear()
    known[key] = value
