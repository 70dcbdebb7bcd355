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
"""A network of PyTorch as a program of torch.export: which species of iris a flower is."""

import json
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_iris
from torch import nn

directory = Path(__file__).parent
torch.manual_seed(0)
torch.set_num_threads(1)
rows, species = load_iris(return_X_y=True)
rows = torch.tensor(rows, dtype=torch.float32)
species = torch.tensor(species)


class Network(nn.Module):
    """Scales the four lengths, and returns the probability of each species."""

    def __init__(self, mean: torch.Tensor, scale: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.layers = nn.Sequential(
            nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 16), nn.ReLU(),
            nn.Linear(16, 3),
        )  # fmt: skip

    def forward(self, flowers: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.layers((flowers - self.mean) / self.scale), dim=1)


model = Network(rows.mean(dim=0), rows.std(dim=0))
optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
for _ in range(200):
    optimiser.zero_grad()
    nn.functional.nll_loss(torch.log(model(rows)), species).backward()
    optimiser.step()

program = torch.export.export(
    model.eval(), (rows[:8],), dynamic_shapes=[[torch.export.Dim("rows"), torch.export.Dim.STATIC]]
)
for node in program.graph.nodes:
    node.meta.pop("stack_trace", None)  # it contains paths of the machine
torch.export.save(program, directory / "model.pt2")

queried = rows[::60]
predictions = torch.export.load(directory / "model.pt2").module()(queried).detach().numpy()
request = {"instances": np.round(queried.numpy().astype(float), 4).tolist()}
response = {"predictions": predictions.tolist()}
(directory / "request.json").write_text(json.dumps(request) + "\n")
(directory / "response.json").write_text(json.dumps(response) + "\n")
