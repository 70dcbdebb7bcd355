"""A model behind vetiver, with a prototype of its input."""

import os

import joblib
import numpy as np
from vetiver import VetiverAPI, VetiverModel

model = joblib.load(os.environ["PEER_MODEL"])
rows = np.zeros((1, model.n_features_in_))
served = VetiverAPI(VetiverModel(model, "model", prototype_data=rows), check_prototype=True)

if __name__ == "__main__":
    served.run(port=int(os.environ["PEER_PORT"]), host="127.0.0.1")
