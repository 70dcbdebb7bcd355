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
"""A module of `media`, and the parameters of its type."""

FIRST = {"", "*/*", *media.MEDIA[0].TYPES}
"""The usual values of Accept, which are not parsed."""


def select_reader(request: Request) -> Choice:
    """Return the media type of a body. Without Content-Type it is JSON.

    Raises:
        Problem: 415, the media type is not supported.
    """
    name, parameters = request.mimetype, request.mimetype_params
    if not name or name in media.MEDIA[0].TYPES or name.endswith("+json"):
        return media.MEDIA[0], parameters
    known = {type_: medium for medium in media.available() for type_ in medium.TYPES}
    if name in known:
        return known[name], parameters
    types = ", ".join(medium.TYPES[0] for medium in media.available())
    library = next((medium.NEEDS for medium in media.MEDIA if name in medium.TYPES), None)
    why = f"This type needs {library}, which is not in this image. " if library else ""
    detail = f"{why}Send one of {types}, with the header Content-Type."
    raise Problem(415, detail, headers={"Accept-Post": types})


def rows_reader(service: Service, request: Request) -> Callable[[bytes, Extras], Rows]:
    """Return a function that decodes the rows of a body, and notes extra inputs.

    Raises:
        Problem: See `select_reader`.
    """
    medium, parameters = select_reader(request)
    return lambda body, ignored: medium.read(service, body, parameters, ignored)


def select_writer(request: Request) -> Choice:
    """Return the media type of the response: the first one that the client prefers.

    Raises:
        Problem: 406, the service supports none of the accepted types.
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
        raise Problem(406, f"Expected one of {names} in the header Accept.")
    return medium, parameters


def response_writer(choice: Choice) -> Callable[[results.Prediction], InferenceResponse]:
    """Return a function that writes predictions. It raises Problem 406 if the type cannot."""
    medium, parameters = choice
    type_ = medium.TYPES[0]
    # Without a charset, clients decode text as Latin-1.
    content_type = type_ + ("; charset=utf-8" if type_.startswith("text/") else "")
    return lambda prediction: InferenceResponse(medium.write(prediction, parameters), content_type)


def _quality(
    ranges: Sequence[tuple[str, Mapping[str, str], float]], type_: str
) -> tuple[float, Mapping[str, str]]:
    """Return the quality of a type, and its parameters, from the most specific range."""
    family = type_.partition("/")[0] + "/*"
    for name in (type_, family, "*/*"):
        for value, parameters, quality in ranges:
            if value.lower() == name:
                return quality, parameters
    return 0, {}
