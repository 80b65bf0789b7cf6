"""Iterables in parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def batchify(iterable: Iterable[T], chunk_size: int) -> Iterator[list[T]]:
    """Lists of at most so many items."""
    items = iter(iterable)
    while chunk := list(islice(items, chunk_size)):
        yield chunk
