# /// script
# requires-python = "==3.11.*"
# dependencies = ["torch==2.13.0", "numpy==2.3.4", "scikit-learn==1.7.2"]
#
# [tool.uv.sources]
# torch = { index = "cpu" }
#
# [[tool.uv.index]]
# name = "cpu"
# url = "https://download.pytorch.org/whl/cpu"
# explicit = true
# ///
"""A traced network of one hidden layer as TorchScript: the width of the petal of a flower."""

import json
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_iris
from torch import nn

warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
directory = Path(__file__).parent
torch.manual_seed(0)
torch.set_num_threads(1)
lengths = torch.tensor(load_iris().data, dtype=torch.float32)
rows, widths = lengths[:, :3], lengths[:, 3:]

model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
for _ in range(200):
    optimiser.zero_grad()
    nn.functional.mse_loss(model(rows), widths).backward()
    optimiser.step()
traced = torch.jit.trace(model.eval(), (rows[:8],))
torch.jit.save(traced, directory / "traced.pt")

# The positions in the source contain paths of the machine. PyTorch does not need them.
reader = torch._C.PyTorchFileReader(str(directory / "traced.pt"))
writer = torch._C.PyTorchFileWriter(str(directory / "model.pt"))
for name in reader.get_all_records():
    is_own = name in {"version", "byteorder"} or name.startswith(".")  # which the writer adds
    if not is_own and not name.endswith(".debug_pkl"):
        content = reader.get_record(name)
        writer.write_record(name, content, len(content))
writer.write_end_of_file()
(directory / "traced.pt").unlink()

queried = rows[::60]
predictions = torch.jit.load(directory / "model.pt")(queried).detach().numpy()
request = {"instances": np.round(queried.numpy().astype(float), 4).tolist()}
response = {"predictions": predictions[:, 0].tolist()}
(directory / "request.json").write_text(json.dumps(request) + "\n")
(directory / "response.json").write_text(json.dumps(response) + "\n")
