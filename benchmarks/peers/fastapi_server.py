"""A model behind FastAPI, with its types declared."""

import os

import joblib
from fastapi import FastAPI
from pydantic import BaseModel

model = joblib.load(os.environ["PEER_MODEL"])
app = FastAPI()


class Request(BaseModel):
    instances: list[list[float]]


@app.post("/predict")
async def predict(request: Request):
    return {"predictions": model.predict(request.instances).tolist()}


@app.post("/predict-in-threads")
def predict_in_threads(request: Request):
    """Faster where a prediction takes long: FastAPI calls what is not async in threads."""
    return {"predictions": model.predict(request.instances).tolist()}
