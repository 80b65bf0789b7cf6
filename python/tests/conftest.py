import pytest

pytest.register_assert_rewrite("every_store")

from flipper import FeatureFlagClient, MemoryFeatureFlagStore


@pytest.fixture
def store():
    return MemoryFeatureFlagStore()


@pytest.fixture
def client(store):
    return FeatureFlagClient(store)
