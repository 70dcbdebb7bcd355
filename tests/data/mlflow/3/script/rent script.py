"""A model from code, which MLflow runs to get the object that predicts."""

from mlflow.models import ModelConfig, set_model
from rents import Read

FACTOR = ModelConfig(development_config={"factor": -1.0}).get("factor")


class Doubled(Read):
    def predict(self, context, model_input, params=None):
        return super().predict(context, model_input) * 2 * FACTOR


set_model(Doubled())
