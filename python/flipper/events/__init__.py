"""Calls before and after each write of a client."""

from .emitter import FlipperEventEmitter, IEventEmitter
from .subscriber import FlipperEventSubscriber
from .types import EventType, RestoreEventType, TargetingEventType

__all__ = ["EventType", "FlipperEventEmitter", "FlipperEventSubscriber", "IEventEmitter", "RestoreEventType", "TargetingEventType"]
