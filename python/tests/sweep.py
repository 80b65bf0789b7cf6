"""Calls with wrong values, and what each raises. Run by this package's Python and by the original's; prints JSON: call -> value -> names of classes."""

import json
import warnings

VALUES = ["None", "1", "-1", "1.5", "nan", "'x'", "''", "b'x'", "[]", "['x']", "{}", "{'x': 1}", "(1, 2)", "object()", "True", "'\\ud800'", "str"]

CALLS = [
    # Constructors.
    "FeatureFlagClient(V).is_enabled('A')",
    "FeatureFlag(V, client).is_enabled()",
    "FeatureFlag('A', V).is_enabled()",
    "Condition(V)",
    "Condition(a=V).check(a=1)",
    "Condition(a__gt=V).check(a=1)",
    "Condition(a__in=V).check(a=1)",
    "Condition(a__not_in=V).check(a=1)",
    "Condition(a__nope=V)",
    "Condition(a=1).check(V)",
    "Condition(a__lt=1).check(a=V)",
    "Condition.from_dict(V)",
    "Percentage(V).value",
    "PercentageBucketer(V).check()",
    "PercentageBucketer(percentage=V).check()",
    "PercentageBucketer(Percentage(0.5)).check(randomizer=V)",
    "ConsistentHashPercentageBucketer(percentage=Percentage(0.5), key_whitelist=V).check(a=1)",
    "ConsistentHashPercentageBucketer(percentage=Percentage(0.5)).check(a=V)",
    "ConsistentHashPercentageBucketer(V)",
    "LinearRampPercentage(V, 1.0).value",
    "LinearRampPercentage(0.0, V).value",
    "LinearRampPercentage(0.0, 1.0, V).value",
    "NoOpBucketer(V)",
    "BucketerFactory.create(V)",
    "PercentageFactory.create(V)",
    "CachedFeatureFlagStore(V).get('A')",
    "CachedFeatureFlagStore(store, V)",
    "ReplicatedFeatureFlagStore(V).get('A')",
    "RedisFeatureFlagStore(V).get('A')",
    "ThriftRPCFeatureFlagStore(V).get('A')",
    "FeatureFlagStoreMeta(V).to_dict()",
    "FeatureFlagStoreMeta(1, V).to_dict()",
    "FeatureFlagStoreItem('A', V, FeatureFlagStoreMeta(1)).is_enabled()",
    "FeatureFlagStoreItem('A', True, V).is_enabled()",
    "FeatureFlagStoreItem.deserialize(V)",
    "AbstractFeatureFlagStore(V)",
    "AbstractBucketer(V)",
    # The client.
    "client.create(V)",
    "client.create('B', V)",
    "client.create('B', client_data=V)",
    "client.exists(V)",
    "client.get(V).name",
    "client.is_enabled(V)",
    "client.is_enabled('NONE', V)",
    "client.is_enabled('A', a=V)",
    "client.is_enabled('PRO', plan=V)",
    "client.is_enabled('OLD', age=V)",
    "client.is_enabled('HALF', id=V)",
    "client.is_enabled('A', V, V)",
    "client.enable(V)",
    "client.disable(V)",
    "client.destroy(V)",
    "client.add_condition(V, Condition())",
    "client.add_condition('A', V)",
    "client.set_conditions('A', V)",
    "client.set_conditions('A', [V])",
    "client.set_bucketer(V, NoOpBucketer())",
    "client.set_bucketer('A', V)",
    "client.set_client_data(V, {})",
    "client.set_client_data('A', V)",
    "client.get_client_data(V)",
    "client.get_meta(V)",
    "list(client.list(V))",
    "list(client.list(limit=V))",
    "list(client.list(offset=V))",
    # A flag.
    "flag.is_enabled(V)",
    "flag.is_enabled(V, V)",
    "flag.add_condition(V)",
    "flag.set_conditions(V)",
    "flag.set_bucketer(V)",
    "flag.set_client_data(V)",
    "flag.enable(V)",
    # A store.
    "store.create(V)",
    "store.create('B', V)",
    "store.create('B', client_data=V)",
    "store.get(V)",
    "store.set(V, True)",
    "store.set('A', V)",
    "store.delete(V)",
    "list(store.list(V))",
    "store.set_meta(V, FeatureFlagStoreMeta(1))",
    "store.set_meta('A', V)",
    # Events and the decorator.
    "client.get_events().on(V, print)",
    "client.get_events().on('X', V)",
    "client.get_events().remove_listener('X', V)",
    "client.get_events().register_subscriber(V)",
    "client.get_events().remove_subscriber(V)",
    "client.set_events(V)",
    "decorators.is_enabled(V, 'A')(int)(1)",
    "decorators.is_enabled(client, V)(int)(1)",
    "decorators.is_enabled(client, 'A')(V)(1)",
    "decorators.is_enabled(client, 'NONE', redirect=V)(int)(1)",
]


def names():
    import flipper
    from flipper import bucketing, contrib, decorators
    from flipper.bucketing.base import AbstractBucketer
    from flipper.contrib.interface import AbstractFeatureFlagStore
    from flipper.contrib.memory import MemoryFeatureFlagStore
    from flipper.contrib.storage import FeatureFlagStoreItem, FeatureFlagStoreMeta
    from flipper.flag import FeatureFlag

    store = MemoryFeatureFlagStore()
    client = flipper.FeatureFlagClient(store)
    for name, condition in [("A", None), ("PRO", flipper.Condition(plan="pro")), ("OLD", flipper.Condition(age__gt=18))]:
        client.create(name, is_enabled=True)
        if condition:
            client.add_condition(name, condition)
    client.create("HALF", is_enabled=True)
    client.set_bucketer("HALF", bucketing.ConsistentHashPercentageBucketer(percentage=bucketing.Percentage(0.5)))
    shared = {name: getattr(bucketing, name) for name in dir(bucketing)} | {name: getattr(flipper, name) for name in flipper.__all__}
    return {
        **shared,
        "AbstractBucketer": AbstractBucketer,
        "AbstractFeatureFlagStore": AbstractFeatureFlagStore,
        "FeatureFlag": FeatureFlag,
        "FeatureFlagStoreItem": FeatureFlagStoreItem,
        "FeatureFlagStoreMeta": FeatureFlagStoreMeta,
        "client": client,
        "contrib": contrib,
        "decorators": decorators,
        "flag": client.get("A"),
        "nan": float("nan"),
        "store": store,
    }


def outcome(call):
    """The names of the classes of what the call raises, the most special one first; none if it returns."""
    try:
        eval(call, names())
    except Exception as error:
        return [each.__name__ for each in type(error).__mro__ if each is not object]
    return []


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps({call: {value: outcome(call.replace("V", value)) for value in VALUES} for call in CALLS}))
