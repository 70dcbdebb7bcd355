"""A model behind vetiver, with a prototype of its input."""

import os

import joblib
import numpy as np
from vetiver import VetiverAPI, VetiverModel

model = joblib.load(os.environ["PEER_MODEL"])
rows = np.zeros((1, model.n_features_in_))
app = VetiverAPI(VetiverModel(model, "model", prototype_data=rows), check_prototype=True).app
