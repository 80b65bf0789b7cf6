"""The fixture `flag_overrides`, for pytest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from .testing import override_flags


@pytest.fixture
def flag_overrides() -> Iterator[Callable[..., override_flags]]:
    """Overrides flags until the test ends: `flag_overrides(features, NEW_CHECKOUT=True)`; as a `with`, until that ends."""
    with ExitStack() as overrides:

        def start(client: Any, answers: Any = None, /, **flags: bool) -> override_flags:
            return overrides.enter_context(override_flags(client, answers, **flags))

        yield start
