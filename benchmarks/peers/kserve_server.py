"""KServe's model server with a custom model, like its scikit-learn runtime."""

import os

import joblib
from kserve import Model, ModelServer
from kserve.logging import KSERVE_LOG_CONFIG

KSERVE_LOG_CONFIG["loggers"]["uvicorn.access"]["level"] = "WARNING"


class Served(Model):
    def load(self):
        self.model = joblib.load(os.environ["PEER_MODEL"])
        self.ready = True
        return self.ready

    def predict(self, payload, headers=None):  # noqa: ARG002 - so it is called
        return {"predictions": self.model.predict(payload["instances"]).tolist()}


if __name__ == "__main__":
    served = Served("model")
    served.load()
    port = int(os.environ["PEER_PORT"])
    options = {"workers": 2, "enable_grpc": False, "enable_latency_logging": False}
    ModelServer(http_port=port, **options).start([served])
