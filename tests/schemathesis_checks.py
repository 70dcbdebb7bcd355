"""What schemathesis checks of each answer besides its own checks; it loads this file itself."""

from __future__ import annotations

import re

import schemathesis
from schemathesis import GenerationMode

REFUSED = "value(s)? that the model takes"
BEYOND_64_BITS = r"-?\d{19,}(\.\.\.)?"
INSIDE = re.compile(r"Traceback|File \"|\.py\b|site-packages|sklearn|numpy|werkzeug|flask", re.I)


@schemathesis.check
def rows_of_the_schema_are_taken(ctx, response, case):
    """Where JSON Schema has no words for it: a number that the model refuses, as those that become
    infinite in it, and one that is written as an integer of more than 64 bits.
    """
    if case.meta.generation.mode != GenerationMode.POSITIVE or response.status_code != 422:
        return
    if "RowByName" not in case.operation.schema.raw_schema["components"]["schemas"]:
        return  # it is not known how many values a row has
    for error in response.json().get("errors", [{"expected": "", "got": ""}]):
        refused = re.search(REFUSED, error["expected"])
        assert refused or re.fullmatch(BEYOND_64_BITS, error["got"]), error


@schemathesis.check
def an_error_tells_nothing_of_the_inside(ctx, response, case):
    if response.status_code >= 400:
        assert not INSIDE.search(response.text), response.text
        if response.content:
            assert response.json()["request_id"] == response.headers["x-request-id"][0]
