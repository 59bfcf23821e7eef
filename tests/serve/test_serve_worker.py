"""The worker: queries in batches, functions between them, and what fails alone."""

import threading

import pytest

from keras_proxygml.serve.searching import SIZES, _split
from keras_proxygml.serve.worker import Worker


class Engine:
    """What a worker runs: it doubles numbers, keeps the batches, and waits for `go`."""

    def __init__(self):
        self.batches, self.go, self.begun = [], threading.Event(), threading.Event()

    def run(self, queries):
        self.batches.append(list(queries))
        self.begun.set()
        assert self.go.wait(10)
        if "stop" in queries:
            raise RuntimeError("broken")
        return [ValueError(q) if q < 0 else 2 * q for q in queries]


@pytest.fixture
def engine():
    return Engine()


@pytest.fixture
def worker(engine):
    worker = Worker(engine.run, most=4, seconds=0.05)
    worker.start()
    yield worker
    engine.go.set()
    worker.stop()


def test_queries_that_come_during_a_batch_are_the_next_batches(worker, engine):
    first = worker.search(0)
    assert engine.begun.wait(10)
    others = [worker.search(i) for i in range(1, 7)]
    assert worker.waiting() == 6
    engine.go.set()
    assert [future.result(10) for future in (first, *others)] == [2 * i for i in range(7)]
    assert engine.batches == [[0], [1, 2, 3, 4], [5, 6]]


def test_a_query_fails_alone_and_a_batch_together(worker, engine):
    engine.go.set()
    futures = [worker.search(i) for i in (1, -1)]
    assert futures[0].result(10) == 2
    with pytest.raises(ValueError, match="-1"):
        futures[1].result(10)
    with pytest.raises(RuntimeError, match="broken"):
        worker.search("stop").result(10)
    assert worker.search(3).result(10) == 6


def test_functions_run_in_the_thread_of_the_worker(worker, engine):
    engine.go.set()
    assert worker.call(threading.current_thread).result(10).name == "search worker"
    with pytest.raises(ZeroDivisionError):
        worker.call(lambda: 1 / 0).result(10)


def test_a_cancelled_query_is_not_run(worker, engine):
    first = worker.search(0)
    assert engine.begun.wait(10)
    gone, other = worker.search(1), worker.search(2)
    assert gone.cancel()
    engine.go.set()
    assert (first.result(10), other.result(10)) == (0, 4)
    assert engine.batches == [[0], [2]]


def test_stop_finishes_what_waits(engine):
    worker = Worker(engine.run, most=4)
    worker.start()
    futures = [worker.search(i) for i in range(9)]
    engine.go.set()
    worker.stop()
    assert [future.result(0) for future in futures] == [2 * i for i in range(9)]


def test_idle_runs_while_nothing_waits(engine):
    times = threading.Semaphore(0)
    worker = Worker(engine.run, most=4, idle=times.release, seconds=0.01)
    worker.start()
    assert all(times.acquire(timeout=10) for _ in range(3))
    worker.stop()


@pytest.mark.parametrize("count", range(20))
def test_batches_have_few_sizes(count):
    parts = list(_split(list(range(count))))
    assert [place for part in parts for place in part] == list(range(count))
    assert set(map(len, parts)) <= set(SIZES)
