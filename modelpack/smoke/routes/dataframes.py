"""Bodies that pandas wrote in the sandbox of the model, sent unchanged as a user would."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelpack.smoke.routes.route import parse_answers, post_rows

if TYPE_CHECKING:
    from modelpack.smoke.probe import Probe
    from modelpack.smoke.routes.route import Rows
    from modelpack.types import Answers, Body, ModelSpec, Reference


@dataclass(frozen=True)
class BodyRoute:
    """A `Route` for one format of bodies.

    Bodies have separate expected answers, because a text format can change values.
    """

    name: str
    format: str
    content_type: str

    def supports(self, model: ModelSpec) -> bool:  # noqa: ARG002 - the sandbox has decided
        return True

    def can_encode(self, rows: Rows) -> bool:  # noqa: ARG002 - as above
        return True

    def is_offered(self, probe: Probe) -> bool:  # noqa: ARG002 - as above
        return True

    def expected(self, reference: Reference) -> Answers | None:
        body = self._body(reference)
        return body.answers if body else None

    def request(self, probe: Probe, reference: Reference) -> Answers:
        body = self._body(reference)
        content = body.content if body else b""
        return parse_answers(probe, post_rows(probe, content, self.content_type))

    def _body(self, reference: Reference) -> Body | None:
        return next((body for body in reference.bodies if body.name == self.format), None)


ROUTES = (
    BodyRoute("POST /predict, to_json of pandas", "json", "application/json"),
    BodyRoute("POST /predict, to_csv of pandas", "csv", "text/csv"),
    BodyRoute("POST /predict, Arrow of pandas", "arrow", "application/vnd.apache.arrow.stream"),
    BodyRoute("POST /predict, to_parquet of pandas", "parquet", "application/vnd.apache.parquet"),
)
