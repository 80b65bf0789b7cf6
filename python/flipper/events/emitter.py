"""Who is called for which event."""

from __future__ import annotations

import functools
from abc import ABCMeta, abstractmethod
from collections.abc import Callable
from typing import Any

from .subscriber import FlipperEventSubscriber
from .types import EventType, RestoreEventType, TargetingEventType

Listener = Callable[..., Any]
_AnyType = EventType | RestoreEventType | TargetingEventType


class IEventEmitter(metaclass=ABCMeta):
    """What a client needs of an emitter."""

    @abstractmethod
    def emit(self, event: Any, *args: Any, **kwargs: Any) -> bool:
        """Calls the listeners of this event, and says whether there are any."""

    @abstractmethod
    def on(self, event: Any, f: Listener | None = None) -> Any:
        """Adds a listener, or without one returns a decorator that does."""

    @abstractmethod
    def remove_listener(self, event: Any, f: Listener) -> None:
        """Removes a listener."""

    def register_subscriber(self, subscriber: FlipperEventSubscriber) -> None:
        """Adds all methods of a subscriber. An emitter of your own need not have this."""
        raise NotImplementedError

    @abstractmethod
    def remove_subscriber(self, subscriber: FlipperEventSubscriber) -> None:
        """Removes the listeners of a subscriber."""


class FlipperEventEmitter(IEventEmitter):
    """Calls listeners in the order in which they were added. What one raises passes through, and ends the event."""

    def __init__(self) -> None:
        # A dict keeps the order, and a listener that is added twice is called once. Each change is one step of a dict, so no lock
        # is needed, which a fork could leave held.
        self._listeners: dict[Any, dict[Listener, Listener]] = {}

    def emit(self, event: Any, *args: Any, **kwargs: Any) -> bool:
        """Calls the listeners of this event, and says whether there are any."""
        listeners = self._listeners.get(event)
        if not listeners:
            return False
        for listener in list(listeners.values()):
            listener(*args, **kwargs)
        return True

    def on(self, event: Any, f: Listener | None = None) -> Any:
        """Adds a listener, or without one returns a decorator that does."""
        if f is None:
            return functools.partial(self.on, event)
        self._add(event, f, f)
        return f

    def once(self, event: Any, f: Listener | None = None) -> Any:
        """As `on`, for one event alone."""
        if f is None:
            return functools.partial(self.once, event)
        listener = f

        def call(*args: Any, **kwargs: Any) -> Any:
            self.remove_listener(event, listener)
            return listener(*args, **kwargs)

        self._add(event, listener, call)
        return f

    def _add(self, event: Any, listener: Listener, called: Listener) -> None:
        self._listeners.setdefault(event, {})[listener] = called

    def remove_listener(self, event: Any, f: Listener) -> None:
        """Removes a listener; one that is not there is a `KeyError`."""
        del self._listeners.get(event, {})[f]

    def remove_all_listeners(self, event: Any = None) -> None:
        """Removes the listeners of this event, or of all."""
        if event is None:
            self._listeners.clear()
        else:
            self._listeners.pop(event, None)

    def listeners(self, event: Any) -> list[Listener]:
        """The listeners of this event, in order."""
        return list(self._listeners.get(event, ()))

    def register_subscriber(self, subscriber: FlipperEventSubscriber) -> None:
        """Adds all methods of a subscriber."""
        for event_type in _events_of(subscriber):
            self.on(event_type, f=_method(subscriber, event_type))

    def remove_subscriber(self, subscriber: FlipperEventSubscriber) -> None:
        """Removes the listeners of a subscriber."""
        for event_type in _events_of(subscriber):
            self.remove_listener(event_type, f=_method(subscriber, event_type))


def _events_of(subscriber: FlipperEventSubscriber) -> list[_AnyType]:
    # A subscriber that is no `FlipperEventSubscriber` may be of a program for the original library.
    added = (*RestoreEventType, *TargetingEventType)
    return [*EventType, *(each for each in added if hasattr(subscriber, f"on_{each.value}"))]


def _method(subscriber: FlipperEventSubscriber, event_type: _AnyType) -> Listener:
    listener: Listener = getattr(subscriber, f"on_{event_type.value}")
    return listener
