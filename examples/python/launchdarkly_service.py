"""A service whose version is chosen by LaunchDarkly's SDK. Only the three addresses and the key say that Understudy answers."""

import os

from ldclient import Config, Context, LDClient

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

ADDRESS = f"{UNDERSTUDY_URL}/launchdarkly"


class LaunchDarklyFlags:
    """Flags arrive as a stream and are evaluated in this process."""

    def __init__(self) -> None:
        config = Config(
            os.environ["LAUNCHDARKLY_SDK_KEY"],
            base_uri=ADDRESS,
            stream_uri=ADDRESS,
            events_uri=ADDRESS,
            flush_interval=float(os.environ.get("LAUNCHDARKLY_FLUSH_SECONDS", "5")),
        )
        self._client = LDClient(config, start_wait=START_WAIT_SECONDS)

    def is_ready(self) -> bool:
        return self._client.is_initialized()

    def decide(self, subject: Subject) -> Decision:
        context = context_of(subject)
        version = str(self._client.variation(VERSION_FLAG, context, FALLBACK))
        return Decision(version, bool(self._client.variation(SHADOW_FLAG, context, False)))

    def report(self, subject: Subject, outcome: Outcome) -> None:
        context = context_of(subject)
        decided = {"flag": VERSION_FLAG, "variant": outcome.version}
        event = "understudy.success" if outcome.prediction is not None else "understudy.error"
        self._client.track(event, context, decided, outcome.latency_ms)

    def close(self) -> None:
        self._client.close()  # type: ignore[no-untyped-call]


def context_of(subject: Subject) -> Context:
    return Context.builder(subject.user_id).set("region", subject.region).build()


app = create_app(LaunchDarklyFlags)
