"""A model behind BentoML."""

import os

import bentoml
import joblib
import numpy as np


@bentoml.service(workers=2)
class Model:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["PEER_MODEL"])

    @bentoml.api
    def predict(self, instances: np.ndarray) -> np.ndarray:
        return self.model.predict(instances)
