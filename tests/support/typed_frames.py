"""DataFrames with every dtype, and their rows as requests."""

from __future__ import annotations

import io

import pandas as pd
import pyarrow as pa

ARROW, PARQUET = "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"


CSV, LINES, JSON = "text/csv", "application/jsonlines", "application/json"


V1, V2 = "/v1/models/model:predict", "/v2/models/model/infer"


LENGTH = "Inference-Header-Content-Length"


def arrow_of(table: pd.DataFrame) -> bytes:
    made = pa.Table.from_pandas(table)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, made.schema) as stream:
        stream.write_table(made)
    return sink.getvalue()


def parquet_of(table: pd.DataFrame) -> bytes:
    sink = io.BytesIO()
    table.to_parquet(sink)
    return sink.getvalue()
