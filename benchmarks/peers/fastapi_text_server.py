"""A model of texts behind FastAPI, with its types declared."""

import os

import joblib
from fastapi import FastAPI
from pydantic import BaseModel

model = joblib.load(os.environ["PEER_MODEL"])
app = FastAPI()


class Request(BaseModel):
    instances: list[str]


@app.post("/predict")
def predict(request: Request):
    return {"predictions": model.predict(request.instances).tolist()}


@app.post("/predict-async")
async def predict_async(request: Request):
    """In the event loop, not in threads: faster where a prediction takes no time."""
    return predict(request)
