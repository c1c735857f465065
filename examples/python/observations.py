"""Reports outcomes to Understudy for SDKs that have no channel of their own for them."""

import logging
import os
import threading
import time
import uuid
from collections import deque
from typing import Any

import requests

from serving import UNDERSTUDY_URL, VERSION_FLAG, Outcome, Subject

log = logging.getLogger("uvicorn.error")

SEND_EVERY_SECONDS = 1.0
DEADLINE_SECONDS = 5.0
MAX_PER_BATCH = 5_000
# About ten minutes of 100 requests a second; the oldest go first.
MAX_WAITING = 60_000


class Observations:
    """Sends a batch a second. A batch is sent again until it was answered, and counts once however often it arrives."""

    def __init__(self, reporter: str) -> None:
        self._reporter = reporter
        self._boot = uuid.uuid4().hex
        self._sequence = 0
        self._waiting: deque[dict[str, Any]] = deque(maxlen=MAX_WAITING)
        self._unanswered: list[dict[str, Any]] = []
        self._dropped = 0
        self._is_closed = threading.Event()
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {os.environ['UNDERSTUDY_REPORT_TOKEN']}"
        self._thread = threading.Thread(target=self._run, name="observations", daemon=True)
        self._thread.start()

    def add(self, subject: Subject, outcome: Outcome) -> None:
        """Never waits and never raises."""
        observation: dict[str, Any] = {
            "flag": VERSION_FLAG,
            "variant": outcome.version,
            "subject": subject.user_id,
            "atMs": time.time() * 1000,
            "latencyMs": outcome.latency_ms,
        }
        if len(self._waiting) == MAX_WAITING:
            self._dropped += 1
        self._waiting.append(
            {**observation, "error": "failed"}
            if outcome.prediction is None
            else {**observation, "prediction": outcome.prediction}
        )

    def close(self) -> None:
        """Sends what is left, once."""
        self._is_closed.set()
        self._thread.join(timeout=2 * DEADLINE_SECONDS)

    def _run(self) -> None:
        while not self._is_closed.wait(SEND_EVERY_SECONDS):
            self._send()
        self._send()

    def _send(self) -> None:
        if self._dropped > 0:
            log.warning("%d observations were dropped in all: Understudy does not take them", self._dropped)
        if not self._unanswered:
            count = min(len(self._waiting), MAX_PER_BATCH)
            self._unanswered = [self._waiting.popleft() for _ in range(count)]
        if not self._unanswered:
            return
        batch: dict[str, Any] = {
            "reporter": self._reporter,
            "boot": self._boot,
            "sequence": self._sequence,
            "observations": self._unanswered,
        }
        try:
            answer = self._session.post(f"{UNDERSTUDY_URL}/api/v1/observations", json=batch, timeout=DEADLINE_SECONDS)
        except requests.RequestException as error:
            log.warning("a batch of %d observations waits for Understudy: %s", len(self._unanswered), error)
            return
        if answer.status_code == 429 or answer.status_code >= 500:
            log.warning("a batch of %d observations waits: status %d", len(self._unanswered), answer.status_code)
            return
        if not answer.ok:
            log.error("a batch of %d observations was refused: %s", len(self._unanswered), answer.text)
        elif ignored := answer.json()["ignored"]:
            log.warning("some observations were left out: %s", ignored)
        self._unanswered = []
        self._sequence += 1
