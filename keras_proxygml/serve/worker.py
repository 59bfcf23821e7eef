"""One thread that runs what the requests ask for, searches in batches."""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

STOP = object()


class Job(NamedTuple):
    """What waits for the worker: a query or a function, and the future of its result."""

    work: Any
    future: Future


class Worker:
    """Runs queries in batches, and functions one by one, in a thread of its own.

    While a batch runs, the next queries wait and become the next batch. So a lone query never
    waits for others, and many are searched together.

    Args:
        run: Makes a list of queries into a list of results, in which an exception stands for a
            query that failed.
        most: How many queries it gets at a time.
        idle: What to do every `seconds` while there is nothing to do, and before each batch.
        seconds: See `idle`.
    """

    def __init__(
        self,
        run: Callable[[list], Sequence],
        most: int,
        idle: Callable[[], None] = lambda: None,
        seconds: float = 1.0,
    ) -> None:
        self._run, self._most, self._idle, self._seconds = run, most, idle, seconds
        self._jobs: queue.SimpleQueue = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Starts the thread."""
        self._thread = threading.Thread(target=self._loop, name="search worker", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finishes what waits, and ends the thread."""
        self._jobs.put(STOP)
        if self._thread is not None:
            self._thread.join()

    def waiting(self) -> int:
        """How many queries and functions wait."""
        return self._jobs.qsize()

    def search(self, query: Any) -> Future:
        """Puts a query into the next batch.

        Args:
            query: Anything but a function.

        Returns:
            The future of its result.
        """
        return self._put(query)

    def call(self, function: Callable[[], Any]) -> Future:
        """Calls a function between two batches.

        Args:
            function: A function without arguments.

        Returns:
            The future of what it returns.
        """
        return self._put(function)

    def _put(self, work):
        job = Job(work, Future())
        self._jobs.put(job)
        return job.future

    def _loop(self):
        while (jobs := self._next()) is not None:
            # A future that was cancelled belongs to a client that has gone.
            jobs = [job for job in jobs if job.future.set_running_or_notify_cancel()]
            for job in jobs:
                if callable(job.work):
                    _settle(job.future, _attempt(job.work))
            self._search([job for job in jobs if not callable(job.work)])

    def _next(self):
        """The jobs that wait, at least one and as many as a batch takes; None at the end."""
        jobs: list[Job] = []
        while len(jobs) < self._most:
            try:
                job = self._jobs.get(timeout=self._seconds) if not jobs else self._jobs.get_nowait()
            except queue.Empty:
                if jobs:
                    break
                self._idle()
                continue
            if job is STOP:
                if not jobs:
                    return None
                self._jobs.put(STOP)  # after the jobs that came before it
                break
            jobs.append(job)
        self._idle()
        return jobs

    def _search(self, jobs):
        if not jobs:
            return
        results = _attempt(lambda: self._run([job.work for job in jobs]))
        if isinstance(results, Exception):
            results = [results] * len(jobs)
        for job, result in zip(jobs, results, strict=True):
            _settle(job.future, result)


def _attempt(function):
    """What a function returns, or the exception that it raises."""
    try:
        return function()
    except Exception as error:
        return error


def _settle(future, result):
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
