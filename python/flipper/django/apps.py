"""The app of `INSTALLED_APPS`."""

from __future__ import annotations

from django.apps import AppConfig


class FlipperConfig(AppConfig):
    """Has no models; it is there for `manage.py` and for settings that list apps."""

    name = "flipper.django"
    label = "flipper"
    verbose_name = "Feature flags"
