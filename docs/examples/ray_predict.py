"""Predict parquet files with Ray: python ray_predict.py BUNDLE IN OUT.

Each process loads the model once, with the serving code of the bundle.
"""

import sys
from pathlib import Path

import pyarrow as pa
import ray


class Predict:
    def __init__(self, bundle: str) -> None:
        sys.path.insert(0, bundle)
        from modelpack.serving import Service, predict_table

        self.service, self.predict_table = Service.load(bundle), predict_table

    def __call__(self, table: pa.Table) -> pa.Table:
        predicted = self.predict_table(self.service, table, probabilities=True)
        for name, values in predicted.items():
            table = table.append_column(name, pa.array(values))
        return table


bundle, rows, predictions = (str(Path(path).resolve()) for path in sys.argv[1:])
ray.data.read_parquet(rows).map_batches(
    Predict,
    fn_constructor_args=[bundle],
    batch_size=10_000,
    batch_format="pyarrow",
    compute=ray.data.ActorPoolStrategy(min_size=1, max_size=8),
).write_parquet(predictions)
