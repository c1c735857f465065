"""A service whose version is chosen by Unleash's SDK. Only the address and the key say that Understudy answers."""

import os
from threading import Event
from typing import Any

from UnleashClient import UnleashClient
from UnleashClient.events import BaseEvent, UnleashEventType
from UnleashClient.impact_metrics import MetricFlagContext

from serving import (
    FALLBACK,
    SHADOW_FLAG,
    START_WAIT_SECONDS,
    UNDERSTUDY_URL,
    VERSION_FLAG,
    Decision,
    Outcome,
    Subject,
    create_app,
)


class UnleashFlags:
    """Flags arrive as a stream and are evaluated in this process."""

    def __init__(self) -> None:
        self._is_ready = Event()
        self._client = UnleashClient(
            url=f"{UNDERSTUDY_URL}/unleash/api",
            app_name="diabetes-service",
            custom_headers={"Authorization": os.environ["UNLEASH_API_TOKEN"]},
            metrics_interval=int(os.environ.get("UNLEASH_METRICS_SECONDS", "5")),
            # Where several services share a machine, each keeps its last flags for itself.
            cache_directory=os.environ.get("UNLEASH_CACHE_DIRECTORY"),
            event_callback=self._on_event,
            experimental_mode={"type": "streaming"},
        )
        metrics = self._client.impact_metrics
        metrics.define_counter("understudy_requests", "Predictions asked for.")
        metrics.define_counter("understudy_errors", "Predictions that failed.")
        metrics.define_histogram(
            "understudy_latency_ms",
            "How long predictions took.",
            [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000],
        )
        self._client.initialize_client()
        self._is_ready.wait(timeout=START_WAIT_SECONDS)

    def _on_event(self, event: BaseEvent) -> None:
        if event.event_type == UnleashEventType.READY:
            self._is_ready.set()

    def is_ready(self) -> bool:
        return self._is_ready.is_set()

    def decide(self, subject: Subject) -> Decision:
        context = context_of(subject)
        variant = self._client.get_variant(VERSION_FLAG, context)
        version = str(variant["payload"]["value"]) if variant["enabled"] else FALLBACK
        # The percentage of a boolean flag is in its variant.
        shadow = self._client.get_variant(SHADOW_FLAG, context)
        return Decision(version, bool(shadow["name"] == "on"))

    def report(self, subject: Subject, outcome: Outcome) -> None:
        decided = MetricFlagContext(flag_names=[VERSION_FLAG], context=context_of(subject))
        metrics = self._client.impact_metrics
        metrics.increment_counter("understudy_requests", 1, decided)
        metrics.observe_histogram("understudy_latency_ms", outcome.latency_ms, decided)
        if outcome.prediction is None:
            metrics.increment_counter("understudy_errors", 1, decided)

    def close(self) -> None:
        self._client.destroy()


def context_of(subject: Subject) -> dict[str, Any]:
    return {"userId": subject.user_id, "properties": {"region": subject.region}}


app = create_app(UnleashFlags)
