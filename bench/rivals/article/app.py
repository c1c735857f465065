"""A gradual roll-out in FastAPI and Redis, the way an article teaches it: the rival of the `gateway` suite.

Written from the article's description, with its choices kept because they are what is being measured: the flag is a
Redis hash read on every request, routing is a fresh random number, each metric opens its own Redis client, and the
synchronous client is called from an async handler. The one change is the model, the same ONNX file as ours.
"""

import json
import os
import random
import time
from contextlib import asynccontextmanager

import redis
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from model import open_classifier

REDIS_URL = os.environ["REDIS_URL"]
MODEL_FILE = os.environ["MODEL_FILE"]
CHALLENGER_PERCENT = int(os.environ["CHALLENGER_PERCENT"])

ROLLOUT_KEY = "rollout:prediction_model"
CHAMPION = "model_v1"
CHALLENGER = "model_v2"
KEPT_METRICS = 10_000  # the article's LTRIM bound

flags = redis.Redis.from_url(REDIS_URL, decode_responses=True)
models = {}


@asynccontextmanager
async def lifespan(_: FastAPI):
    rollout = {"champion": CHAMPION, "challenger": CHALLENGER, "percentage": CHALLENGER_PERCENT, "status": "active"}
    flags.hset(ROLLOUT_KEY, mapping=rollout)
    for name in (CHAMPION, CHALLENGER):
        models[name] = open_classifier(MODEL_FILE)
    yield
    models.clear()


app = FastAPI(lifespan=lifespan)


class PredictionRequest(BaseModel):
    features: list[float]


class PredictionResponse(BaseModel):
    prediction: float
    model_used: str
    latency_ms: float


def choose_model() -> str:
    """One HGETALL and one random number per request: the same user may meet both models."""
    rollout = flags.hgetall(ROLLOUT_KEY)
    if not rollout:
        return CHAMPION
    if rollout["status"] == "active" and random.randint(1, 100) <= int(rollout["percentage"]):
        return rollout["challenger"]
    return rollout["champion"]


def record_metric(name: str, latency_ms: float, prediction: float) -> None:
    """A new client, hence a new connection, for every metric."""
    client = redis.Redis.from_url(REDIS_URL, decode_responses=True)
    entry = json.dumps({"latency_ms": latency_ms, "prediction": prediction, "timestamp": time.time()})
    client.lpush(f"metrics:{name}", entry)
    client.ltrim(f"metrics:{name}", 0, KEPT_METRICS - 1)


@app.post("/predict", response_model=PredictionResponse)
async def predict(request: PredictionRequest):
    name = choose_model()
    classify = models.get(name)
    if classify is None:
        raise HTTPException(status_code=503, detail=f"model {name} is not loaded")
    started = time.perf_counter()
    prediction = classify(request.features)
    latency_ms = (time.perf_counter() - started) * 1000
    record_metric(name, latency_ms, prediction)
    return PredictionResponse(prediction=prediction, model_used=name, latency_ms=round(latency_ms, 2))
