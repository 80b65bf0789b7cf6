"""The same check by the Python SDKs of other services, which evaluate in the process, without a network. `peers.py NAME` measures one."""

import json
import logging
import sys
import tempfile
import timeit
from pathlib import Path

PACKAGES = [
    "UnleashClient==6.9.1",
    "growthbook==4.0.0",
    "openfeature-sdk==0.10.0",
    "launchdarkly-server-sdk==9.18.4",
    "configcat-client==10.0.1",
    "splitio_client==10.7.0",
]
LOOPS = 3_000


def unleash():
    from UnleashClient import UnleashClient
    from UnleashClient.cache import FileCache

    def flag(name, *constraints):
        strategy = {"name": "default", "parameters": {}, "constraints": constraints}
        return {"name": name, "enabled": True, "strategies": [strategy]}

    pro = {"contextName": "plan", "operator": "IN", "values": ["pro"]}
    cache = FileCache("bench", directory=tempfile.mkdtemp())
    cache.bootstrap_from_dict({"version": 1, "features": [flag("FLAG_0"), flag("FLAG_1", pro)]})
    options = {"disable_metrics": True, "disable_registration": True, "cache": cache}
    client = UnleashClient("http://localhost:1/api", "bench", **options)
    client.initialize_client(fetch_toggles=False)
    pro_user = {"properties": {"plan": "pro"}}
    return lambda: client.is_enabled("FLAG_0"), lambda: client.is_enabled("FLAG_1", pro_user)


def growthbook():
    from growthbook import GrowthBook

    features = {"FLAG_0": {"defaultValue": True}}
    features["FLAG_1"] = {"defaultValue": False, "rules": [{"condition": {"plan": "pro"}, "force": True}]}
    client = GrowthBook(attributes={"plan": "pro"}, features=features)
    return lambda: client.is_on("FLAG_0"), lambda: client.is_on("FLAG_1")


def openfeature():
    from openfeature import api
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.flag_evaluation import FlagResolutionDetails
    from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

    def of_plan(flag, context):
        return FlagResolutionDetails(value=context.attributes.get("plan") == "pro")

    variants = {"on": True, "off": False}
    flags = {"FLAG_0": InMemoryFlag("on", variants), "FLAG_1": InMemoryFlag("on", variants, context_evaluator=of_plan)}
    api.set_provider(InMemoryProvider(flags))
    client, pro_user = api.get_client(), EvaluationContext(attributes={"plan": "pro"})
    return lambda: client.get_boolean_value("FLAG_0", False), lambda: client.get_boolean_value("FLAG_1", False, pro_user)


def launchdarkly():
    from ldclient import Context, LDClient
    from ldclient.config import Config
    from ldclient.integrations.test_data import TestData

    data = TestData.data_source()
    data.update(data.flag("FLAG_0").variation_for_all(True))
    data.update(data.flag("FLAG_1").fallthrough_variation(False).if_match("plan", "pro").then_return(True))
    client = LDClient(Config("sdk", update_processor_class=data, send_events=False, diagnostic_opt_out=True))
    pro_user = Context.builder("user").set("plan", "pro").build()
    return lambda: client.variation("FLAG_0", pro_user, False), lambda: client.variation("FLAG_1", pro_user, False)


def configcat():
    from configcatclient import ConfigCatClient
    from configcatclient.configcatoptions import ConfigCatOptions
    from configcatclient.localfiledatasource import LocalFileFlagOverrides
    from configcatclient.overridedatasource import OverrideBehaviour
    from configcatclient.user import User

    pro = {"c": [{"u": {"a": "plan", "c": 28, "s": "pro"}}], "s": {"v": {"b": True}}}
    settings = {"FLAG_0": {"t": 0, "v": {"b": True}}, "FLAG_1": {"t": 0, "v": {"b": False}, "r": [pro]}}
    file = Path(tempfile.mkdtemp(), "flags.json")
    file.write_text(json.dumps({"f": settings}))
    overrides = LocalFileFlagOverrides(str(file), OverrideBehaviour.LocalOnly)
    client = ConfigCatClient.get("bench", ConfigCatOptions(flag_overrides=overrides))
    user = User("user", custom={"plan": "pro"})
    return lambda: client.get_value("FLAG_0", False), lambda: client.get_value("FLAG_1", False, user)


def split():
    from splitio import get_factory

    file = Path(tempfile.mkdtemp(), "flags.split")
    file.write_text("FLAG_0 on\nFLAG_1 on\n")
    factory = get_factory("localhost", config={"splitFile": str(file)})
    factory.block_until_ready(10)
    client = factory.client()
    # Its file has no conditions, so the second call has attributes alone.
    return lambda: client.get_treatment("user", "FLAG_0") == "on", lambda: client.get_treatment("user", "FLAG_1", {"plan": "pro"}) == "on"


NAMES = [sdk.__name__ for sdk in (unleash, growthbook, openfeature, launchdarkly, configcat, split)]


def main(name):
    logging.disable(logging.CRITICAL)
    plain, condition = globals()[name]()
    assert plain() is True and condition() is True, name
    times = [min(timeit.repeat(call, repeat=5, number=LOOPS)) / LOOPS * 1e9 for call in (plain, condition)]
    print(json.dumps(dict(zip(("plain", "one condition"), times))), flush=True)
    # Some have threads that run on.
    import os

    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
