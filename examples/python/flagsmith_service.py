"""A service whose version is chosen through Flagsmith's SDK. Only the address and the key say that Understudy answers."""

import os

from flagsmith import Flagsmith
from flagsmith.exceptions import FlagsmithAPIError
from flagsmith.models import DefaultFlag

from observations import Observations
from serving import FALLBACK, SHADOW_FLAG, UNDERSTUDY_URL, VERSION_FLAG, Decision, Outcome, Subject, create_app


class FlagsmithFlags:
    """The server decides, at each request. What it cannot be asked for is answered by the default handler."""

    def __init__(self) -> None:
        self._client = Flagsmith(
            environment_key=os.environ["FLAGSMITH_ENVIRONMENT_KEY"],
            api_url=f"{UNDERSTUDY_URL}/flagsmith/api/v1/",
            request_timeout_seconds=1,
            default_flag_handler=default_flag,
        )
        self._observations = Observations("flagsmith-service")

    def is_ready(self) -> bool:
        try:
            names = {flag.feature_name for flag in self._client.get_environment_flags().all_flags()}
        except FlagsmithAPIError:
            return False
        return VERSION_FLAG in names

    def decide(self, subject: Subject) -> Decision:
        flags = self._client.get_identity_flags(subject.user_id, traits={"region": subject.region})
        return Decision(str(flags.get_feature_value(VERSION_FLAG)), flags.is_feature_enabled(SHADOW_FLAG))

    def report(self, subject: Subject, outcome: Outcome) -> None:
        self._observations.add(subject, outcome)

    def close(self) -> None:
        self._observations.close()


def default_flag(name: str) -> DefaultFlag:
    return DefaultFlag(enabled=False, value=FALLBACK if name == VERSION_FLAG else None)


app = create_app(FlagsmithFlags)
