"""`request.features`: the flags for the caller of a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import HttpRequest
from django.utils.decorators import sync_and_async_middleware
from django.utils.module_loading import import_string

from flipper.scope import Scope

from . import features


@sync_and_async_middleware
def FlipperMiddleware(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:  # noqa: N802
    """Gives each request a `Scope`, with the attributes that `FLIPPER_ATTRIBUTES` returns, as `request.features`.

    They are asked for at the first check. In an async view that must not block: use `await request.auser()` first.
    """

    def scope(request: HttpRequest) -> Scope:
        attributes: Any = getattr(settings, "FLIPPER_ATTRIBUTES", None)
        if isinstance(attributes, str):
            attributes = import_string(attributes)
        return Scope(features, None if attributes is None else lambda: attributes(request))

    if iscoroutinefunction(get_response):

        async def answer(request: HttpRequest) -> Any:
            request.features = scope(request)  # type: ignore[attr-defined]
            return await get_response(request)

        return answer

    def answer_now(request: HttpRequest) -> Any:
        request.features = scope(request)  # type: ignore[attr-defined]
        return get_response(request)

    return answer_now
