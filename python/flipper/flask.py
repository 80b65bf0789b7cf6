"""Flask: `Flipper(app)`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, cast

from flask import Flask, current_app, g

from .client import FeatureFlagClient
from .scope import Scope


class Flipper:
    """The flags of an app: those of `app.config["FLIPPER"]`, a URL such as `"redis://localhost/0"` or a client.

    `attributes`: a function that returns the attributes of a request's caller, for conditions. Templates have `features`:
    `{% if features.NEW_CHECKOUT %}`.
    """

    def __init__(
        self, app: Flask | None = None, *, attributes: Callable[[], Mapping[str, Any]] | None = None
    ) -> None:
        self._attributes = attributes
        self._lock = threading.Lock()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Adds the flags to an app."""
        setting = cast(dict[str, Any], app.config).get("FLIPPER")
        if not isinstance(setting, (str, FeatureFlagClient)):
            raise TypeError(f'app.config["FLIPPER"] must be a URL or a FeatureFlagClient, not {type(setting).__name__}')
        app.extensions["flipper"] = setting
        app.context_processor(lambda: {"features": self.scope})

    @property
    def features(self) -> FeatureFlagClient:
        """The current app's client, made at the first use: in each worker, where it is not used before the fork."""
        with self._lock:
            client = current_app.extensions["flipper"]
            if isinstance(client, str):
                client = current_app.extensions["flipper"] = FeatureFlagClient.connect(client, must_arrive=False)
        features: FeatureFlagClient = client
        return features

    @property
    def scope(self) -> Scope:
        """The flags for the caller of the current request."""
        if "_flipper" not in g:
            g._flipper = Scope(self.features, self._attributes)
        scope: Scope = g._flipper
        return scope
