"""A service whose version is chosen through OpenFeature, by OFREP. Only the address and the key say that Understudy answers."""

import os

from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import Reason

from observations import Observations
from serving import FALLBACK, SHADOW_FLAG, UNDERSTUDY_URL, VERSION_FLAG, Decision, Outcome, Subject, create_app


class OpenFeatureFlags:
    """The server decides, at each request. While it cannot be asked, everybody gets the fallback."""

    def __init__(self) -> None:
        headers = {"Authorization": f"Bearer {os.environ['OPENFEATURE_KEY']}"}
        api.set_provider(OFREPProvider(UNDERSTUDY_URL, headers_factory=lambda: headers, timeout=1.0))
        self._client = api.get_client()
        self._observations = Observations("openfeature-service")

    def is_ready(self) -> bool:
        details = self._client.get_string_details(VERSION_FLAG, FALLBACK, EvaluationContext("readiness"))
        return details.reason != Reason.ERROR

    def decide(self, subject: Subject) -> Decision:
        context = context_of(subject)
        version = self._client.get_string_value(VERSION_FLAG, FALLBACK, context)
        return Decision(version, self._client.get_boolean_value(SHADOW_FLAG, False, context))

    def report(self, subject: Subject, outcome: Outcome) -> None:
        self._observations.add(subject, outcome)

    def close(self) -> None:
        self._observations.close()
        api.shutdown()


def context_of(subject: Subject) -> EvaluationContext:
    return EvaluationContext(subject.user_id, {"region": subject.region})


app = create_app(OpenFeatureFlags)
