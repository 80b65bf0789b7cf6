"""Django: `INSTALLED_APPS = ["flipper.django"]`, and in the settings

- `FLIPPER`: a URL such as `"redis://localhost/0"`, or a client;
- `FLIPPER_ATTRIBUTES`: a function, or its dotted path, that returns the attributes of a request's caller, for conditions.

`features` is the client. It is made at the first use: in each worker, where it is not used before the fork.
"""

from __future__ import annotations

from typing import Any, cast

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.functional import SimpleLazyObject, empty

from flipper.client import FeatureFlagClient


def _client() -> FeatureFlagClient:
    setting: Any = getattr(settings, "FLIPPER", None)
    if isinstance(setting, str):
        return FeatureFlagClient.connect(setting, must_arrive=False)
    if not isinstance(setting, FeatureFlagClient):
        raise ImproperlyConfigured(f"FLIPPER must be a URL or a FeatureFlagClient, not {type(setting).__name__}")
    return setting


features = cast(FeatureFlagClient, SimpleLazyObject(_client))


def _forget(*, setting: str, **_: Any) -> None:
    """For tests that override the setting."""
    if setting == "FLIPPER":
        cast(Any, features)._wrapped = empty


setting_changed.connect(_forget)
