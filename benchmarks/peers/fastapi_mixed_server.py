"""A model of named columns behind FastAPI, with its types declared."""

import os

import joblib
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel

model = joblib.load(os.environ["PEER_MODEL"])
app = FastAPI()


class Row(BaseModel):
    age: float
    income: float | None
    balance: float
    months: float
    city: str
    plan: str
    device: str


class Request(BaseModel):
    instances: list[Row]


@app.post("/predict")
def predict(request: Request):
    rows = pd.DataFrame([row.model_dump() for row in request.instances])
    return {"predictions": model.predict(rows).tolist()}


@app.post("/predict-async")
async def predict_async(request: Request):
    """In the event loop, not in threads: faster where a prediction takes no time."""
    return predict(request)
