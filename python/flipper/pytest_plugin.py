"""The fixture `flag_overrides`, for pytest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from .testing import override_flags


@pytest.fixture
def flag_overrides() -> Iterator[Callable[..., override_flags]]:
    """Overrides flags until the test ends: `flag_overrides(features, NEW_CHECKOUT=True)`; as a `with`, until that ends."""
    with ExitStack() as overrides:
        # What takes the fixture's arguments is documented once.
        yield lambda client, answers=None, /, **flags: overrides.enter_context(override_flags(client, answers, **flags))
