"""Log a folder of MLflow to a server as its client does, register it, and set an alias.

Runs in MLflow's environment: `register_mlflow.py SERVER FOLDER NAME ALIAS`. Waits for the server.
The output is JSON: the ids of the run and of the logged model.
"""

from __future__ import annotations

import json
import sys
import time
from urllib.error import URLError
from urllib.request import urlopen

from mlflow import MlflowClient

SECONDS = 90
EXPERIMENT = "0"


def wait_for(server: str) -> None:
    end = time.monotonic() + SECONDS
    while True:
        try:
            with urlopen(f"{server}/health", timeout=SECONDS):
                return
        except URLError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def register(server: str, folder: str, name: str, alias: str) -> dict[str, str]:
    """Log a model, register it as version 1, and log the folder as files of the run, too."""
    client = MlflowClient(server, server)
    run = client.create_run(EXPERIMENT).info.run_id
    model = client.create_logged_model(EXPERIMENT, name=name, source_run_id=run).model_id
    client.log_model_artifacts(model, folder)
    client.finalize_logged_model(model, "READY")
    client.log_artifacts(run, folder, "files")
    client.create_registered_model(name)
    version = client.create_model_version(name, f"models:/{model}", run, model_id=model).version
    client.set_registered_model_alias(name, alias, version)
    return {"run": run, "model": model}


if __name__ == "__main__":
    wait_for(sys.argv[1])
    print(json.dumps(register(*sys.argv[1:])))
