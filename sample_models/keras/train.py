# /// script
# requires-python = "==3.11.*"
# dependencies = ["keras==3.15.1", "torch==2.13.0", "h5py==3.16.0", "numpy==2.4.6"]
# ///
"""A functional model of Keras with an embedding: the chance that a customer cancels a contract."""

import io
import json
import os
import re
import zipfile
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import torch
from keras import layers

directory = Path(__file__).parent
torch.set_num_threads(1)
keras.utils.set_random_seed(0)
random = np.random.default_rng(0)
count = 400
customers = {
    "months": random.integers(1, 60, count).astype(np.float32),
    "charge": random.integers(20, 180, count).astype(np.float32) / 2,
    "contract": random.integers(0, 3, count).astype(np.int32),  # monthly, yearly, two years
}
leaves = (customers["contract"] == 0) & (customers["charge"] > customers["months"])

inputs = {
    "months": keras.Input((1,), name="months"),
    "charge": keras.Input((1,), name="charge"),
    "contract": keras.Input((1,), dtype="int32", name="contract"),
}
numbers = layers.Concatenate()([inputs["months"], inputs["charge"]])
known = np.column_stack([customers["months"], customers["charge"]])
scaled = layers.Normalization(mean=known.mean(axis=0), variance=known.var(axis=0))(numbers)
contract = layers.Flatten()(layers.Embedding(3, 2)(inputs["contract"]))
hidden = layers.Dense(8, activation="relu")(layers.Concatenate()([scaled, contract]))
model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(hidden))
model.compile(keras.optimizers.Adam(0.05), "binary_crossentropy")
rows = {name: values[:, None] for name, values in customers.items()}
model.fit(rows, leaves.astype(np.float32)[:, None], epochs=30, shuffle=False, verbose=0)

# Keras writes the time and addresses of objects, which differ each time.
saved = io.BytesIO()
model.save(directory / "model.keras")
addresses: dict[bytes, bytes] = {}
with zipfile.ZipFile(directory / "model.keras") as archive, zipfile.ZipFile(saved, "w") as fixed:
    for name in archive.namelist():
        content = archive.read(name)
        if name.endswith(".json"):
            content = re.sub(rb'("date_saved": ")[^"]*', rb"\g<1>2026-12-01@00:00:00", content)
            for address in re.findall(rb'"shared_object_id": (\d+)', content):
                number = addresses.setdefault(address, str(len(addresses) + 1).encode())
                content = content.replace(b'_id": ' + address, b'_id": ' + number)
        fixed.writestr(zipfile.ZipInfo(name, (2026, 12, 1, 0, 0, 0)), content)
(directory / "model.keras").write_bytes(saved.getvalue())

few = {name: values[:3] for name, values in rows.items()}
predictions = keras.saving.load_model(directory / "model.keras").predict(few, verbose=0)
instances = [{name: values[index, 0].item() for name, values in few.items()} for index in range(3)]
request, response = {"instances": instances}, {"predictions": predictions[:, 0].tolist()}
(directory / "request.json").write_text(json.dumps(request) + "\n")
(directory / "response.json").write_text(json.dumps(response) + "\n")
