"""`predict` with nothing around it. Reads lines "ROWS SECONDS", answers each with rows per second.

python predict_alone.py MODEL QUESTIONS
"""

import json
import sys
import time

import joblib
import numpy as np

model = joblib.load(sys.argv[1])
with open(sys.argv[2]) as questions:  # noqa: PTH123 - no more than is needed
    inputs = json.load(questions)["rows"]
if isinstance(inputs[0], dict):
    import pandas

    inputs = pandas.DataFrame(inputs)
elif isinstance(inputs[0], list):
    inputs = np.array(inputs)
if hasattr(model, "n_jobs"):
    model.n_jobs = 1  # threads cost a single row more than they gain

print("ready", flush=True)
for line in sys.stdin:
    count, seconds = line.split()
    rows, done, began = inputs[: int(count)], 0, time.perf_counter()
    while time.perf_counter() - began < float(seconds):
        model.predict(rows)
        done += int(count)
    print(done / (time.perf_counter() - began), flush=True)
