"""Content negotiation."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Sequence, Tuple

from flask import Request
from werkzeug.http import parse_options_header

from .. import media
from ..data import results
from ..data.columns import Rows
from ..data.extra_inputs import Extras
from ..inference import InferenceResponse
from ..problems import Problem
from ..service import Service

Medium = Any
"""A module of `media`."""

Choice = Tuple[Medium, Mapping[str, str]]
"""It, and the parameters of its type."""

FIRST = {"", "*/*", *media.MEDIA[0].TYPES}
"""What nearly every request accepts, and is not looked at further."""


def select_reader(request: Request) -> Choice:
    """How the body is to be read. A body that does not say what it is, is JSON.

    Raises:
        Problem: 415 there is no reader for it.
    """
    name, parameters = request.mimetype, request.mimetype_params
    if not name or name in media.MEDIA[0].TYPES or name.endswith("+json"):
        return media.MEDIA[0], parameters
    known = {type_: medium for medium in media.available() for type_ in medium.TYPES}
    if name in known:
        return known[name], parameters
    types = ", ".join(medium.TYPES[0] for medium in media.available())
    lacking = next((medium.NEEDS for medium in media.MEDIA if name in medium.TYPES), None)
    why = f"It needs {lacking}, which is not in this image. " if lacking else ""
    detail = f"{why}Send one of {types}, and say which by the header Content-Type."
    raise Problem(415, detail, headers={"Accept-Post": types})


def rows_reader(service: Service, request: Request) -> Callable[[bytes, Extras], Rows]:
    """What reads the rows out of the body of a request; extra inputs as in `Service.table`.

    Raises:
        Problem: as `reader`.
    """
    medium, parameters = select_reader(request)
    return lambda body, ignored: medium.read(service, body, parameters, ignored)


def select_writer(request: Request) -> Choice:
    """How the answer is to be written: in the type that the client likes best, and of several the
    first.

    Raises:
        Problem: 406 there is no writer for what it likes.
    """
    if request.headers.get("Accept", "") in FIRST:
        return media.MEDIA[0], {}
    ranges = [
        (*parse_options_header(value), quality) for value, quality in request.accept_mimetypes
    ]
    if not ranges:
        return media.MEDIA[0], {}
    types = [(type_, medium) for medium in media.available() for type_ in medium.TYPES]
    ranked = [(*_quality(ranges, type_), medium) for type_, medium in types]
    quality, parameters, medium = max(ranked, key=lambda each: each[0])
    if not quality:
        names = ", ".join(each.TYPES[0] for each in media.available())
        raise Problem(406, f"The answer can be one of {names}; Accept names none of them.")
    return medium, parameters


def response_writer(choice: Choice) -> Callable[[results.Prediction], InferenceResponse]:
    """What writes the answer as it was chosen. It raises a Problem: 406 the values do not fit in
    this type.
    """
    medium, parameters = choice
    type_ = medium.TYPES[0]
    # Without it, clients take texts for Latin-1.
    content_type = type_ + ("; charset=utf-8" if type_.startswith("text/") else "")
    return lambda answer: InferenceResponse(medium.write(answer, parameters), content_type)


def _quality(
    ranges: Sequence[tuple[str, Mapping[str, str], float]], type_: str
) -> tuple[float, Mapping[str, str]]:
    """Of a type, by the most special range that holds it."""
    family = type_.partition("/")[0] + "/*"
    for name in (type_, family, "*/*"):
        for value, parameters, quality in ranges:
            if value.lower() == name:
                return quality, parameters
    return 0, {}
