"""The service itself: one endpoint that serves the version a flag gives. The four services differ in their flag client only."""

import json
import logging
import os
import time
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Annotated, Protocol

from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel, Field

from versions import Versions

log = logging.getLogger("uvicorn.error")

# The name of the model in Understudy, and what its flags are called there.
MODEL = os.environ.get("MODEL", "diabetes")
VERSION_FLAG = f"{MODEL}-version"
SHADOW_FLAG = f"{MODEL}.shadow"

# Whom the flag client gives when it cannot ask: the version that was champion when this service was deployed.
FALLBACK = os.environ.get("FALLBACK_VERSION", "v1")
SHADOW_VERSION = os.environ.get("SHADOW_VERSION", "v2")
UNDERSTUDY_URL = os.environ.get("UNDERSTUDY_URL", "http://127.0.0.1:7070").rstrip("/")

# How long a start waits for the first flags before it goes on with the fallback.
START_WAIT_SECONDS = float(os.environ.get("START_WAIT_SECONDS", "5"))

# A version that answers in 1 ms keeps far fewer busy; beyond it the copy is dropped and the user is not made to wait.
MAX_SHADOWS_IN_FLIGHT = 32


@dataclass(frozen=True)
class Subject:
    """Who a prediction is for. The same user gets the same version."""

    user_id: str
    region: str


@dataclass(frozen=True)
class Decision:
    """What the flags give to a subject."""

    version: str
    has_shadow: bool  # whether the shadow version sees this request too


@dataclass(frozen=True)
class Outcome:
    """What came of one prediction; without a prediction the version has failed."""

    version: str
    latency_ms: float
    prediction: float | None


class FlagClient(Protocol):
    """What this service needs of a flag SDK."""

    def is_ready(self) -> bool:
        """Whether flags have arrived; before that everybody is given the fallback."""

    def decide(self, subject: Subject) -> Decision: ...

    def report(self, subject: Subject, outcome: Outcome) -> None: ...

    def close(self) -> None: ...


class Request(BaseModel):
    features: Annotated[list[float], Field(min_length=10, max_length=10)]


class Answer(BaseModel):
    prediction: float
    version: str
    user_id: str


def create_app(open_flags: Callable[[], FlagClient]) -> FastAPI:
    """The service with its flag client, opened at start and closed at the end."""
    versions = Versions(os.environ.get("VERSIONS", "v1,v2").split(","))
    opened: list[FlagClient] = []
    shadows = Shadows(versions)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        opened.append(open_flags())
        if not opened[0].is_ready():
            log.warning("no flags yet: everybody gets %s, and /readyz says 503", FALLBACK)
        yield
        opened[0].close()
        shadows.close()

    app = FastAPI(lifespan=lifespan)

    # Not async: SDKs and models work in the thread pool, where they keep nobody waiting but their own request.
    @app.post("/predict")
    def predict(
        request: Request,
        x_user_id: Annotated[str | None, Header()] = None,
        x_region: Annotated[str, Header()] = "unknown",
    ) -> Answer:
        flags = opened[0]
        # Users without a name must not all be the same user.
        subject = Subject(x_user_id or f"anonymous-{uuid.uuid4()}", x_region)
        given = flags.decide(subject)
        version = given.version if given.version in versions else FALLBACK
        if version != given.version:
            log.warning("version %s is not loaded here, so %s answers", given.version, FALLBACK)
        shadow = shadows.start(request.features) if given.has_shadow else None
        outcome = timed(versions, version, request.features)
        if version == given.version:
            flags.report(subject, outcome)
        if shadow is not None:
            shadow.add_done_callback(lambda ended: log_comparison(subject, outcome, ended.result()))
        if outcome.prediction is None:
            raise HTTPException(500, f"version {version} cannot answer this request")
        return Answer(prediction=outcome.prediction, version=version, user_id=subject.user_id)

    @app.get("/readyz")
    def readyz() -> dict[str, bool]:
        if not opened[0].is_ready():
            raise HTTPException(503, f"no flags have arrived: everybody gets {FALLBACK}")
        return {"ready": True}

    return app


def timed(versions: Versions, version: str, features: list[float]) -> Outcome:
    """Asks a version; its failure is an outcome."""
    started = time.perf_counter()
    prediction = None
    try:
        prediction = versions.predict(version, features)
    except Exception as error:  # noqa: BLE001 - whatever a model raises is the model's failure
        log.warning("version %s failed: %s", version, error)
    return Outcome(version, (time.perf_counter() - started) * 1000, prediction)


class Shadows:
    """Runs the shadow version beside the one that answers. Nobody waits for it, and it is dropped rather than queued."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="shadow")
        self._places = BoundedSemaphore(MAX_SHADOWS_IN_FLIGHT)

    def start(self, features: list[float]) -> Future[Outcome] | None:
        if not self._places.acquire(blocking=False):
            log.warning("%d shadow predictions are in flight; one was dropped", MAX_SHADOWS_IN_FLIGHT)
            return None
        future = self._threads.submit(timed, self._versions, SHADOW_VERSION, features)
        future.add_done_callback(lambda _ended: self._places.release())
        return future

    def close(self) -> None:
        self._threads.shutdown()


def log_comparison(subject: Subject, served: Outcome, shadow: Outcome) -> None:
    """One line of JSON for each request that two versions saw; no difference when one of them failed."""
    difference = None
    if served.prediction is not None and shadow.prediction is not None:
        difference = abs(served.prediction - shadow.prediction)
    line = {
        "event": "shadow.compared",
        "user_id": subject.user_id,
        "served": {"version": served.version, "prediction": served.prediction, "latency_ms": served.latency_ms},
        "shadow": {"version": shadow.version, "prediction": shadow.prediction, "latency_ms": shadow.latency_ms},
        "difference": difference,
    }
    log.info("%s", json.dumps(line))
