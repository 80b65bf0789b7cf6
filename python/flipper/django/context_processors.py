"""Flags in templates: `{% if features.NEW_CHECKOUT %}`."""

from __future__ import annotations

from django.http import HttpRequest

from flipper.scope import Scope

from . import features as client


def features(request: HttpRequest) -> dict[str, Scope]:
    """`features`, those of the request where the middleware is used."""
    return {"features": getattr(request, "features", None) or Scope(client)}
