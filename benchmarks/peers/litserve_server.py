"""A model behind LitServe."""

import os

import joblib
import litserve


class Served(litserve.LitAPI):
    def setup(self, device):  # noqa: ARG002 - so it is called
        self.model = joblib.load(os.environ["PEER_MODEL"])

    def decode_request(self, request):
        return request["instances"]

    def predict(self, rows):
        return self.model.predict(rows)

    def encode_response(self, output):
        return {"predictions": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Served(), accelerator="cpu", workers_per_device=2)
    server.run(host="127.0.0.1", port=int(os.environ["PEER_PORT"]), generate_client_file=False)
