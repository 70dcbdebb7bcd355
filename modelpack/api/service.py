"""`ServedModel`: a service in processes of this machine."""

from __future__ import annotations

import time
import weakref
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from http import HTTPStatus
from types import TracebackType
from typing import Any

import requests

from modelpack.api.rows import encode, to_instances
from modelpack.errors import SmokeFailedError, UsageError
from modelpack.pipeline.build import run_locally
from modelpack.pipeline.options import Observer, Options
from modelpack.pipeline.stages import Pipeline
from modelpack.types import ModelSpec, RunningService, Signature, notebook_html

_START_SECONDS = 120.0
_SECONDS = 60.0
_NAP = 0.02
_MAX_BYTES = 8 * 2**20
"""Size of a request: half of what services accept by default."""


class ServedModel:
    """A running service of a model.

    It ends with `stop()`, at the end of a `with` block, or with Python.

    Attributes:
        url: Its address, without a slash at the end.
        model: The facts about the model.
    """

    def __init__(
        self, service: RunningService, model: ModelSpec, stack: ExitStack, token: str = ""
    ) -> None:
        self.url = service.url
        self.model = model
        self._service = service
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy does not reach 127.0.0.1
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"
        self._finalizer = weakref.finalize(self, stack.close)

    def predict(self, rows: Any) -> list[Any]:
        """Return the prediction of each row.

        Args:
            rows: A DataFrame, an array, a list of rows (lists, or dicts by name), or a dict as the
                only row. Several requests are sent if one would be too large.

        Raises:
            UsageError: The service does not accept the rows; the message names row and column.
            SmokeFailedError: The service does not respond.
        """
        predictions: list[Any] = self._predict(rows)["predictions"]
        return predictions

    def predict_proba(self, rows: Any) -> list[Any]:
        """Return the probabilities of each row in the order of `classes`, as scikit-learn does.

        Raises:
            UsageError: The service does not accept the rows, or the model has no probabilities.
            SmokeFailedError: The service does not respond.
        """
        response = self._predict(rows, probabilities="true")["probabilities"]
        return [list(each.values()) if isinstance(each, dict) else each for each in response]

    @property
    def classes(self) -> tuple[Any, ...] | None:
        """The labels of a classifier."""
        return self.model.signature.classes

    def logs(self) -> str:
        """Return the newest output of the service, at most 64 KiB."""
        return self._service.logs()

    def is_running(self) -> bool:
        return self._finalizer.alive and self._service.is_running()

    def stop(self) -> None:
        """Stop the service, and remove its files."""
        self._session.close()
        self._finalizer()

    def wait_until_ready(self) -> None:
        """Wait until the service has loaded the model.

        Raises:
            SmokeFailedError: It ended, did not get ready within two minutes, or its model fails on
                its own example.
        """
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._service.is_running():
            try:
                status = self._session.get(f"{self.url}/readyz", timeout=_SECONDS).status_code
                if status == HTTPStatus.OK:
                    return
                if status == HTTPStatus.SERVICE_UNAVAILABLE:
                    break  # it stays unready
            except requests.ConnectionError:
                pass
            time.sleep(_NAP)
        raise SmokeFailedError(
            f"The service did not start. Its output ends with:\n{self.logs()[-2000:].strip()}",
            hint="Run `modelpack smoke` with the bundle, which explains frequent reasons.",
        )

    def _predict(self, rows: Any, **query: str) -> dict[str, Any]:
        if not self.is_running():
            raise SmokeFailedError(
                "The service has ended.", hint="Start it again with modelpack.serve(...)."
            )
        _require_columns(rows, self.model.signature)
        return self._send(to_instances(rows), 0, query)

    def _send(self, instances: list[Any], start: int, query: dict[str, str]) -> dict[str, Any]:
        """Predict rows by one request, or by several if the service rejects its size."""
        body = encode({"instances": instances})
        if len(body) > _MAX_BYTES and len(instances) > 1:
            return self._send_halves(instances, start, query)
        try:
            response = self._session.post(
                f"{self.url}/predict",
                params=query,
                data=body,
                headers={"Content-Type": "application/json"},
                timeout=_SECONDS,
            )
        except requests.RequestException as error:
            raise SmokeFailedError(
                f"The service does not respond: {error}.", hint="Look at logs()."
            ) from error
        if response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and len(instances) > 1:
            return self._send_halves(instances, start, query)
        if not response.ok:
            where = f"In the rows from {start:,}: " if start else ""
            raise UsageError(
                where + _problem(response),
                hint="`modelpack.inspect(path)` shows the inputs of the model.",
            )
        document: dict[str, Any] = response.json()
        return document

    def _send_halves(
        self, instances: list[Any], start: int, query: dict[str, str]
    ) -> dict[str, Any]:
        middle = len(instances) // 2
        first = self._send(instances[:middle], start, query)
        second = self._send(instances[middle:], start + middle, query)
        return {key: [*first[key], *second[key]] for key in first}

    def __enter__(self) -> ServedModel:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<ServedModel {self.url}{'' if self.is_running() else ' (ended)'}>"

    def _repr_html_(self) -> str:
        return notebook_html(self)


def _require_columns(rows: Any, signature: Signature) -> None:
    """Require each column that the model reads, as its own `predict` does.

    The service takes a name that a row lacks as a missing value.

    Raises:
        UsageError: A DataFrame lacks columns, or one of its rows is given as a Series.
    """
    columns = getattr(rows, "columns", None)
    inputs = {field.name for field in signature.inputs}
    if columns is None and hasattr(rows, "iloc") and len(inputs) > 1 and inputs & {*rows.index}:
        raise UsageError(
            f"A Series has one value for each row, and the model takes {len(inputs):,} inputs.",
            hint="Give one row as a DataFrame, such as X.iloc[[0]] in place of X.iloc[0].",
        )
    if columns is None or not signature.named or signature.layout == "dicts":
        return
    names = set(map(str, columns))
    names |= {name.replace(" ", "_") for name in names}  # as LightGBM stores them
    read = [f for f in signature.inputs if f.type != "any" or f.example is not None]
    missing = [field.name for field in read if field.name not in names]
    if missing and len(missing) < len(read):
        raise UsageError(
            f"The DataFrame lacks columns of the model: {', '.join(missing)}.",
            hint="Add them. Values of a number or text that may be missing can be NaN or None.",
        )


def start(
    paths: Sequence[str],
    options: Options,
    port: int,
    variables: Mapping[str, str],
    observer: Observer | None,
) -> ServedModel:
    """Start the service of a model or a bundle, and wait until it is ready."""
    with ExitStack() as stack:
        run = Pipeline(options, observer)
        bundle, service = stack.enter_context(run_locally(run, paths, port, variables))
        token = variables.get("MODELPACK_TOKEN", "")
        served = ServedModel(service, run.models.describe(bundle.model), stack.pop_all(), token)
    try:
        served.wait_until_ready()
    except BaseException:
        served.stop()
        raise
    return served


def _problem(response: requests.Response) -> str:
    """Return the text of a problem document. It names the first row that does not fit."""
    try:
        problem = response.json()
        return str(problem.get("detail") or problem["title"])
    except (ValueError, LookupError, TypeError, AttributeError):
        return f"The service responded with status {response.status_code}."
