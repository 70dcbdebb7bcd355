"""A model behind BentoML."""

import bentoml
import joblib
import numpy as np


@bentoml.service
class Model:
    def __init__(self) -> None:
        self.model = joblib.load("model.joblib")

    @bentoml.api
    def predict(self, instances: np.ndarray) -> np.ndarray:
        return self.model.predict(instances)
