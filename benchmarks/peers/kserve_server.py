"""KServe's model server with a custom model, which is how its scikit-learn runtime is made."""

import os

import joblib
from kserve import Model, ModelServer


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
    ModelServer(http_port=port, enable_grpc=False, workers=1).start([served])
