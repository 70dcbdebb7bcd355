"""DataFrames of every dtype, and their rows as requests."""

from __future__ import annotations

import io

import pandas as pd
import pyarrow as pa

ARROW, PARQUET = "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"


CSV, LINES, JSON = "text/csv", "application/jsonlines", "application/json"


V1, V2 = "/v1/models/model:predict", "/v2/models/model/infer"


LENGTH = "Inference-Header-Content-Length"


def to_arrow(table: pd.DataFrame) -> bytes:
    record_table = pa.Table.from_pandas(table)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, record_table.schema) as stream:
        stream.write_table(record_table)
    return sink.getvalue()


def to_parquet(table: pd.DataFrame) -> bytes:
    sink = io.BytesIO()
    table.to_parquet(sink)
    return sink.getvalue()
