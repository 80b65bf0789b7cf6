"""Flags in this process, for tests and development."""

from __future__ import annotations

from flipper import _flipper

from .native import NativeFeatureFlagStore


class MemoryFeatureFlagStore(NativeFeatureFlagStore):
    """Keeps flags in this process's memory, and nowhere else."""

    def __init__(self) -> None:
        super().__init__(_flipper.Flags.memory())
