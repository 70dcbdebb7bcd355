"""The two settings files of MLServer for its scikit-learn runtime, with adaptive batching."""

import json
import os
from pathlib import Path

folder = Path(os.environ["PEER_FOLDER"])
ports = {"http_port": int(os.environ["PEER_PORT"]), "grpc_port": 0, "metrics_port": 0}
settings = {"host": "127.0.0.1", "parallel_workers": 2, "debug": False, **ports}
(folder / "settings.json").write_text(json.dumps(settings))
model = {
    "name": "model",
    "implementation": "mlserver_sklearn.SKLearnModel",
    "parameters": {"uri": os.environ["PEER_MODEL"]},
    "max_batch_size": 64,
    "max_batch_time": 0.001,
}
(folder / "model-settings.json").write_text(json.dumps(model))
