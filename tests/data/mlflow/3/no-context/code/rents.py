"""Classes of models of MLflow, which `code_paths` copies to their folders."""

import json
from pathlib import Path

from mlflow.pyfunc import PythonModel


class Rent(PythonModel):
    """A linear model with a rate of each town, which `load_context` sets."""

    def __init__(self, weights):
        self.weights = weights
        self.rates = None

    def load_context(self, context):
        self.rates = {"Bonn": 1.0, "Rome": 1.5, "Lyon": 1.25}

    def predict(self, context, model_input, params=None):
        base = model_input[["age", "rooms"]].to_numpy() @ self.weights
        return base * model_input["town"].map(self.rates).to_numpy()


class Old(PythonModel):
    """A class without a context, as MLflow 2.20 and later allow, that depends on dtypes."""

    def __init__(self, limit):
        self.limit = limit

    def predict(self, model_input):
        kinds = "-".join(str(model_input[name].dtype) for name in ("age", "rooms"))
        return (model_input["age"] > self.limit).map({True: f"old {kinds}", False: f"new {kinds}"})


class Read(PythonModel):
    """A class that reads a file, a folder of files and settings, as its `load_context` does."""

    def load_context(self, context):
        self.weights = json.loads(Path(context.artifacts["weights"]).read_text())
        folder = Path(context.artifacts["rates"])
        self.rates = {path.stem: float(path.read_text()) for path in folder.rglob("*.txt")}
        self.settings = context.model_config

    def predict(self, context, model_input, params=None):
        base = model_input[["age", "rooms"]].to_numpy() @ self.weights
        rates = model_input["town"].map(self.rates).to_numpy() * self.settings["factor"]
        return base * rates + context.model_config["added"]["each"][1]
