"""FastAPI: flags as dependencies.

```
async def attributes(user: Annotated[User, Depends(current_user)]) -> dict[str, Any]:
    return {"plan": user.plan}

Flags = Annotated[Scope, Depends(flags_of(features, attributes))]

@app.get("/")
async def home(flags: Flags) -> ...:
    flags.is_enabled("NEW_CHECKOUT")

@app.get("/beta", dependencies=[Depends(required(features, "BETA", attributes))])
```
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import Depends, HTTPException

from .aio import AsyncFeatureFlagClient
from .client import FeatureFlagClient
from .scope import Scope

Features = FeatureFlagClient | AsyncFeatureFlagClient


async def _none() -> dict[str, Any]:
    return {}


def flags_of(features: Features, attributes: Callable[..., Any] = _none) -> Callable[..., Awaitable[Scope]]:
    """A dependency: the flags for the caller of a request, whose attributes another dependency returns."""

    # `async`, as FastAPI would use a thread otherwise.
    async def scope(given: Mapping[str, Any] = Depends(attributes)) -> Scope:
        return Scope(features, given)

    return scope


def required(
    features: Features, feature_name: str, attributes: Callable[..., Any] = _none, *, status_code: int = 404
) -> Callable[..., Awaitable[None]]:
    """A dependency that ends a request while the flag is off for its caller."""

    async def require(given: Mapping[str, Any] = Depends(attributes)) -> None:
        if not features.is_enabled(feature_name, **given):
            raise HTTPException(status_code)

    return require
