"""Tasks of Celery, by a worker over a broker in memory, in both states of a flag."""

import pytest
from flipper import FeatureFlagClient, MemoryFeatureFlagStore
from flipper.decorators import is_enabled
from flipper.testing import override_flags
from servers import PATIENCE, package

package("celery")

from celery import Celery, Task, chain  # noqa: E402
from celery.contrib.testing.worker import start_worker  # noqa: E402
from celery.signals import setup_logging  # noqa: E402

features = FeatureFlagClient(MemoryFeatureFlagStore())
app = Celery("flags", broker="memory://", backend="cache+memory://")
app.conf.update(broker_transport_options={"polling_interval": 0.01})
# With a receiver the worker leaves the log alone, which other tests read.
setup_logging.connect(lambda **_: None, weak=False)


def old(*args, **kwargs):
    return "old"


flag = is_enabled(features, "F", redirect=old)


@app.task
@flag
def add(left, right=0):
    return left + right


@app.task
@is_enabled(features, "F")
def without(left, right=0):
    return left + right


@app.task(bind=True)
@flag
def bound(self, value):
    assert isinstance(self, Task)
    return value


@app.task(bind=True, max_retries=2)
@flag
def retried(self, value):
    if self.request.retries < 2:
        raise self.retry(countdown=0)
    return value


@app.task
def follows(value, more):
    return [value, more]


class Own(Task):
    name = "own"

    @is_enabled(features, "F", redirect=old)
    def run(self, value):
        return value


own = app.register_task(Own())


@pytest.fixture(scope="module", autouse=True)
def _worker():
    with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=PATIENCE):
        yield


@pytest.fixture(params=[True, False], ids=["on", "off"])
def state(request):
    features.create("F", is_enabled=request.param)
    return request.param


def test_names_and_arguments():
    assert add.name == f"{__name__}.add"
    with pytest.raises(TypeError):
        add.delay()
    with pytest.raises(TypeError):
        bound.delay(1, 2)


@pytest.mark.parametrize(("task", "args", "result"), [(add, (1, 2), 3), (bound, (3,), 3), (retried, (3,), 3), (own, (3,), 3)])
def test_tasks(state, task, args, result):
    assert task.delay(*args).get(timeout=PATIENCE) == (result if state else "old")


def test_without_another_function(state):
    assert without.delay(1, right=2).get(timeout=PATIENCE) == (3 if state else None)


def test_a_chain(state):
    result = chain(add.s(1, 2), follows.s("more"))().get(timeout=PATIENCE)
    assert result == [3 if state else "old", "more"]


def test_it_is_checked_when_the_task_runs(state):
    with override_flags(features, F=not state):
        assert add.delay(1, 2).get(timeout=PATIENCE) == ("old" if state else 3)
