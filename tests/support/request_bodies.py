"""Request bodies of every media type for a signature, and damaged ones."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from modelpack.types import Signature

DEFAULTS = {"number": 0.5, "integer": 1, "string": "a", "boolean": True, "any": 1}


def example_bodies(signature: Signature) -> dict[str, bytes]:
    """Return media type -> body with two rows, also for the JSON of the protocols."""
    row = {
        field.name: DEFAULTS[field.type] if field.example is None else field.example
        for field in signature.inputs
    } or {"x0": 0.5, "x1": 0.5, "x2": 0.5}
    table = pa.table({name: [value, value] for name, value in row.items()})
    parquet, arrow, npy = io.BytesIO(), io.BytesIO(), io.BytesIO()
    pq.write_table(table, parquet)
    with pa.ipc.new_stream(arrow, table.schema) as stream:
        stream.write_table(table)
    kinds = {type(value) for value in row.values()}
    np.save(npy, np.array([list(row.values())] * 2, float if kinds <= {int, float} else str))
    cells = ",".join(json.dumps(v) if not isinstance(v, str) else v for v in row.values())
    line = json.dumps(row)
    return {
        "application/jsonlines": f"{line}\n{line}\n".encode(),
        "application/x-ndjson": f"{line}\n\n".encode(),
        "application/jsonl": line.encode(),
        "text/csv": f"{','.join(row)}\n{cells}\n{cells}\n".encode(),
        "application/x-npy": npy.getvalue(),
        "application/vnd.apache.arrow.stream": arrow.getvalue(),
        "application/vnd.apache.parquet": parquet.getvalue(),
        "application/x-parquet": parquet.getvalue(),
        "application/octet-stream": np.array(list(range(8)), float).tobytes(),
    }


def example_documents(signature: Signature) -> list[bytes]:
    """Return the JSON documents of each protocol."""
    row = [DEFAULTS[field.type] for field in signature.inputs]
    names = [field.name for field in signature.inputs]
    tensors = [
        {"name": name, "shape": [1, 1], "datatype": "FP64", "data": [value]}
        for name, value in zip(names, row, strict=True)
    ]
    documents = (
        {"instances": [row]},
        {"dataframe_split": {"columns": names, "data": [row]}},
        {"dataframe_records": [dict(zip(names, row, strict=True))]},
        {"inputs": {name: [value] for name, value in zip(names, row, strict=True)}},
        {"inputs": [{"name": "x", "shape": [1, len(row)], "datatype": "FP64", "data": row}]},
        {"inputs": tensors, "outputs": [{"name": "predict"}]},
    )
    return [json.dumps(document).encode() for document in documents]


@st.composite
def damaged(draw, bodies: list[bytes]):
    """Draw a body with bytes removed, added or changed, or an intact one."""
    body = bytearray(draw(st.sampled_from(bodies)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(body)))
        change = draw(st.sampled_from(["cut", "insert", "set", "drop"]))
        if change == "cut":
            del body[at:]
        elif change == "insert":
            body[at:at] = draw(st.binary(max_size=8))
        elif change == "set" and at < len(body):
            body[at] = draw(st.integers(0, 255))
        else:
            del body[at : at + draw(st.integers(0, 64))]
    return bytes(body)
