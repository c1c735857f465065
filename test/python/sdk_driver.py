"""Evaluates flags with one SDK: reads questions as lines of JSON from stdin and answers each on stdout."""

import json
import sys
from collections.abc import Callable
from threading import Event
from typing import Any

Value = str | bool | None
Evaluate = Callable[[str, Value, dict[str, Any]], Value]


def launchdarkly(url: str, key: str) -> Evaluate:
    from ldclient import Config, Context, LDClient

    address = f"{url}/launchdarkly"
    client = LDClient(Config(key, base_uri=address, stream_uri=address, events_uri=address, send_events=False), start_wait=10)
    return lambda flag, default, user: client.variation(flag, Context.from_dict({"kind": "user", **user}), default)


def unleash(url: str, key: str, directory: str) -> Evaluate:
    from UnleashClient import UnleashClient

    ready = Event()
    client = UnleashClient(
        url=f"{url}/unleash/api",
        app_name="driver",
        custom_headers={"Authorization": key},
        disable_metrics=True,
        cache_directory=directory,
        event_callback=lambda _event: ready.set(),
        experimental_mode={"type": "streaming"},
    )
    client.initialize_client()
    ready.wait(timeout=10)

    def evaluate(flag: str, default: Value, user: dict[str, Any]) -> Value:
        properties = {name: str(value) for name, value in user.items() if name != "key"}
        context = {"userId": user["key"], "properties": properties}
        if isinstance(default, bool):
            return client.is_enabled(flag, context)
        variant = client.get_variant(flag, context)
        return variant["payload"]["value"] if variant["enabled"] else default

    return evaluate


def flagsmith(url: str, key: str, is_local: bool = False) -> Evaluate:
    from flagsmith import Flagsmith

    client = Flagsmith(
        environment_key=key,
        api_url=f"{url}/flagsmith/api/v1/",
        realtime_api_url=f"{url}/flagsmith/",
        enable_local_evaluation=is_local,
        enable_realtime_updates=is_local,
    )

    def evaluate(flag: str, default: Value, user: dict[str, Any]) -> Value:
        traits = {name: value for name, value in user.items() if name != "key"}
        flags = client.get_identity_flags(user["key"], traits=traits)
        return flags.is_feature_enabled(flag) if isinstance(default, bool) else flags.get_feature_value(flag)

    return evaluate


def openfeature(url: str, key: str) -> Evaluate:
    from openfeature import api
    from openfeature.contrib.provider.ofrep import OFREPProvider
    from openfeature.evaluation_context import EvaluationContext

    api.set_provider(OFREPProvider(url, headers_factory=lambda: {"Authorization": f"Bearer {key}"}))
    client = api.get_client()

    def evaluate(flag: str, default: Value, user: dict[str, Any]) -> Value:
        attributes = {name: value for name, value in user.items() if name != "key"}
        context = EvaluationContext(user["key"], attributes)
        if isinstance(default, bool):
            return client.get_boolean_value(flag, default, context)
        return client.get_string_value(flag, default, context)

    return evaluate


def open_sdk(name: str, url: str, key: str, directory: str) -> Evaluate:
    match name:
        case "launchdarkly":
            return launchdarkly(url, key)
        case "unleash":
            return unleash(url, key, directory)
        case "flagsmith":
            return flagsmith(url, key)
        case "flagsmith-local":
            return flagsmith(url, key, is_local=True)
        case "openfeature":
            return openfeature(url, key)
    sys.exit(f"unknown SDK {name!r}")


def main() -> None:
    evaluate = open_sdk(*sys.argv[1:])
    for line in sys.stdin:
        question = json.loads(line)
        flag, default = question["flag"], question["default"]
        print(json.dumps([evaluate(flag, default, user) for user in question["users"]]), flush=True)


main()
