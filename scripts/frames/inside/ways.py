"""The first rows of a training frame in every format that a user may send, and their answers.

The answers are those of the author's own calls. A format that cannot hold the frame exactly, such
as JSON with its ten digits, is read back first: into the columns and dtypes of training.
"""

import csv
import json

import numpy as np
import pandas as pd

ROWS = 50
JSON = "application/json"


def write(trained, folder):
    """Write the bodies into `folder` and return what to send, in which way, with which answers.

    A way that pandas itself cannot write for this frame has the reason in place of its file.
    """
    head = trained.rows.iloc[:ROWS].copy()  # a view has gaps, which change the last bits
    writers = _WAYS if isinstance(head, pd.DataFrame) else _TEXT_WAYS
    return [_way(trained, head, folder, writer) for writer in writers]


def answers(trained, rows):
    """Return the author's predictions and probabilities of rows, as JSON has them."""
    found = {"predictions": _to_list(trained.predict(rows)), "probabilities": None}
    if trained.probabilities is not None:
        chances = trained.probabilities(rows)
        several = isinstance(chances, list)
        labels = trained.classes if several else [trained.classes]
        outputs = [_by_label(*pair) for pair in zip(labels, chances if several else [chances])]
        found["probabilities"] = [list(row) for row in zip(*outputs)] if several else outputs[0]
    return found


def _by_label(labels, chances):
    names = [str(_plain(label)) for label in labels]
    return [dict(zip(names, row)) for row in np.asarray(chances).tolist()]


def _way(trained, head, folder, writer):
    name, path, kind, make, read_back = writer
    try:
        body = make(trained, head)
    except Exception as error:  # whatever pandas refuses to write
        return {"name": name, "unwritable": "{}: {}".format(type(error).__name__, error)}
    body = body if isinstance(body, bytes) else body.encode("utf-8")
    file = "rows-" + name
    (folder / file).write_bytes(body)
    rows = read_back(body.decode("utf-8"), head) if read_back else head
    return dict(
        answers(trained, rows),
        name=name,
        path=path,
        type=kind,
        file=file,
    )


def _instances(trained, head):
    return '{{"instances":{}}}'.format(head.to_json(orient="records"))


def _records(trained, head):
    return head.to_json(orient="records")


def _lines(trained, head):
    return head.to_json(orient="records", lines=True)


def _csv(trained, head):
    return head.to_csv(index=False)


def _extra_csv(trained, head):
    if trained.target is not None:
        head = head.assign(**{"the target": np.asarray(trained.target)[: len(head)]})
    return head.to_csv()


def _parquet(trained, head):
    return head.to_parquet(index=False)


def _arrow(trained, head):
    import pyarrow

    table = pyarrow.Table.from_pandas(head, preserve_index=False)
    sink = pyarrow.BufferOutputStream()
    writer = pyarrow.ipc.new_stream(sink, table.schema)
    writer.write_table(table)
    writer.close()
    return sink.getvalue().to_pybytes()


def _tensors(trained, head):
    if not head.columns.is_unique:
        raise ValueError("two tensors would have one name")
    return json.dumps({
        "inputs": [_tensor(str(name), head[name]) for name in head.columns],
        "outputs": [{"name": "predict"}],
    })  # fmt: skip


def _tensor(name, column):
    dtype = getattr(column.dtype, "categories", column).dtype
    values = [None if _is_missing(value) else _plain(value) for value in column.tolist()]
    if dtype.kind == "M":
        datatype, values = "BYTES", [None if v is None else v.isoformat() for v in values]
    elif dtype.kind in "biuf":
        bits = getattr(dtype, "itemsize", 8) * 8
        prefix = {"b": "BOOL", "i": "INT", "u": "UINT", "f": "FP"}[dtype.kind]
        datatype = prefix if prefix == "BOOL" else prefix + str(bits)
    elif all(isinstance(value, str) or value is None for value in values):
        datatype = "BYTES"
    else:
        datatype, values = "FP64", [float(value) for value in values]
    return {"name": name, "shape": [len(values)], "datatype": datatype, "data": values}


def _texts(trained, head):
    return json.dumps({"instances": head.tolist()})


def _text_records(trained, head):
    return head.to_frame().to_json(orient="records")


def _text_lines(trained, head):
    return "\n".join(map(json.dumps, head))


def _text_tensor(trained, head):
    return json.dumps({"inputs": [_tensor(head.name, head)], "outputs": [{"name": "predict"}]})


def _from_instances(text, head):
    return _from_records(json.dumps(json.loads(text)["instances"]), head)


def _from_records(text, head):
    return _frame([list(row.values()) for row in json.loads(text)], head, _from_json)


def _from_lines(text, head):
    return _from_records("[{}]".format(",".join(text.splitlines())), head)


def _from_csv(text, head):
    return _frame(list(csv.reader(text.splitlines()))[1:], head, _from_text)


def _from_extra_csv(text, head):
    width = len(head.columns) + 1
    rows = [row[1:width] for row in csv.reader(text.splitlines())]
    return _frame(rows[1:], head, _from_text)


def _frame(rows, head, convert):
    """Return a frame of the columns and dtypes of `head` with the values of `rows`."""
    columns = []
    for index in range(head.shape[1]):
        like = head.iloc[:, index]
        columns.append(_column([row[index] for row in rows], like, convert))
    frame = pd.concat(columns, axis=1)
    frame.columns, frame.index = head.columns, head.index
    return frame


def _column(values, like, convert):
    dtype = like.dtype
    if hasattr(dtype, "categories"):
        known = {_written(c, values): c for c in dtype.categories}
        found = [known.get(value) for value in values]
        return pd.Series(pd.Categorical(found, dtype=dtype))
    example = next((value for value in like if not _is_missing(value)), None)
    absent = next((value for value in like if _is_missing(value)), None)
    found = [absent if v is None or v == "" else convert(v, example) for v in values]
    return pd.Series(found, dtype=dtype)


def _written(category, values):
    """Return a category as the format writes it: unchanged, or as text."""
    return str(category) if any(isinstance(value, str) for value in values) else category


def _from_json(value, example):
    if isinstance(example, pd.Timestamp):
        return pd.Timestamp(value, unit="ms") if isinstance(value, int) else pd.Timestamp(value)
    return value


def _from_text(text, example):
    if isinstance(example, pd.Timestamp):
        return pd.Timestamp(text)
    if isinstance(example, (bool, np.bool_)):
        return {"True": True, "False": False}[text]
    if isinstance(example, (int, np.integer)):
        return int(text)
    return text if isinstance(example, str) else float(text)


def _is_missing(value):
    return bool(pd.isna(value))


def _to_list(values):
    return [_plain(value) for value in np.asarray(values).tolist()]


def _plain(value):
    return value.item() if isinstance(value, np.generic) else value


_WAYS = (
    ("json", "/predict", JSON, _instances, _from_instances),
    ("records", "/predict", JSON, _records, _from_records),
    ("jsonl", "/predict", "application/jsonlines", _lines, _from_lines),
    ("csv", "/predict", "text/csv", _csv, _from_csv),
    ("extra-csv", "/predict", "text/csv", _extra_csv, _from_extra_csv),
    ("parquet", "/predict", "application/vnd.apache.parquet", _parquet, None),
    ("arrow", "/predict", "application/vnd.apache.arrow.stream", _arrow, None),
    ("v2", "/v2/models/model/infer", JSON, _tensors, None),
)
_TEXT_WAYS = (
    ("json", "/predict", JSON, _texts, None),
    ("records", "/predict", JSON, _text_records, None),
    ("jsonl", "/predict", "application/jsonlines", _text_lines, None),
    ("csv", "/predict", "text/csv", _csv, None),
    ("parquet", "/predict", "application/vnd.apache.parquet",
     lambda t, h: _parquet(t, h.to_frame()), None),
    ("arrow", "/predict", "application/vnd.apache.arrow.stream",
     lambda t, h: _arrow(t, h.to_frame()), None),
    ("v2", "/v2/models/model/infer", JSON, _text_tensor, None),
)  # fmt: skip
