"""The two settings files of MLServer for its scikit-learn runtime."""

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
}
(folder / "model-settings.json").write_text(json.dumps(model))
