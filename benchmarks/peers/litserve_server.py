"""A model behind LitServe, requests that come together predicted together."""

import os

import joblib
import litserve
import numpy as np


class Served(litserve.LitAPI):
    def setup(self, device):  # noqa: ARG002 - so it is called
        self.model = joblib.load(os.environ["PEER_MODEL"])

    def decode_request(self, request):
        return request["instances"]

    def batch(self, inputs):
        return inputs

    def predict(self, requests):
        predictions = self.model.predict([row for rows in requests for row in rows])
        return np.split(predictions, np.cumsum([len(rows) for rows in requests])[:-1])

    def unbatch(self, output):
        return output

    def encode_response(self, output):
        return {"predictions": output.tolist()}


if __name__ == "__main__":
    # 1 ms: the wait that a lone request bears for others, five of them cost it two thirds
    served = Served(max_batch_size=64, batch_timeout=0.001)
    server = litserve.LitServer(served, accelerator="cpu", workers_per_device=2)
    port = int(os.environ["PEER_PORT"])
    server.run(
        host="127.0.0.1",
        port=port,
        num_api_servers=2,
        generate_client_file=False,
        access_log=False,
        log_level="warning",
    )
