"""The emitter."""

import asyncio

import pytest

from flipper.events import EventType, FlipperEventEmitter, FlipperEventSubscriber, IEventEmitter


def test_listeners_are_called_in_order_and_once_each():
    emitter, calls = FlipperEventEmitter(), []
    first, second = (lambda *args, **kwargs: calls.append((1, args, kwargs))), (lambda *args, **kwargs: calls.append(2))
    assert emitter.on("event", first) is first
    emitter.on("event", second)
    emitter.on("event", first)
    assert emitter.emit("event", 5, a=6) is True and emitter.emit("other") is False
    assert calls == [(1, (5,), {"a": 6}), 2]
    assert emitter.listeners("event") == [first, second]


def test_decorators_and_removal():
    emitter, calls = FlipperEventEmitter(), []

    @emitter.on("event")
    def always():
        calls.append("always")

    @emitter.once("event")
    def once():
        calls.append("once")

    emitter.emit("event")
    emitter.emit("event")
    assert calls == ["always", "once", "always"]
    emitter.remove_listener("event", always)
    with pytest.raises(KeyError):
        emitter.remove_listener("event", always)
    emitter.on("event", always)
    emitter.remove_all_listeners("event")
    assert emitter.emit("event") is False


def test_what_a_listener_raises_passes_through_and_ends_the_event():
    emitter, calls = FlipperEventEmitter(), []
    emitter.on("event", lambda: 1 / 0)
    emitter.on("event", lambda: calls.append(1))
    with pytest.raises(ZeroDivisionError):
        emitter.emit("event")
    assert calls == []


def test_subscribers(client):
    class Subscriber(FlipperEventSubscriber):
        calls = []

        def on_pre_create(self, flag_name, is_enabled, client_data):
            self.calls.append((flag_name, is_enabled, client_data))

        def on_post_enable(self, flag_name):
            self.calls.append(flag_name)

    subscriber = Subscriber()
    client.events.register_subscriber(subscriber)
    client.create("F", client_data={"a": 1})
    client.enable("F")
    client.events.remove_subscriber(subscriber)
    client.enable("F")
    assert subscriber.calls == [("F", False, {"a": 1}), "F"]
    with pytest.raises(KeyError):
        client.events.remove_subscriber(subscriber)


def test_an_emitter_of_ones_own(client):
    class Emitter(IEventEmitter):
        seen = []

        def emit(self, event, *args, **kwargs):
            self.seen.append(event)
            return True

        on = remove_listener = remove_subscriber = None

    client.events = Emitter()
    client.create("F")
    assert client.get_events().seen == [EventType.PRE_CREATE, EventType.POST_CREATE]


def test_writes_and_checks_within_an_event_loop(client):
    async def run():
        client.create("F", is_enabled=True)
        client.set_client_data("F", {"a": 1})
        return client.is_enabled("F")

    assert asyncio.run(run()) is True
