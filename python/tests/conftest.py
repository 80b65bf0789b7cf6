import pytest

from flipper import FeatureFlagClient, MemoryFeatureFlagStore


@pytest.fixture
def store():
    return MemoryFeatureFlagStore()


@pytest.fixture
def client(store):
    return FeatureFlagClient(store)
