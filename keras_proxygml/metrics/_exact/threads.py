"""Work in threads, because NumPy computes outside of Python's lock, and a line of progress."""

import concurrent.futures
import contextlib
import functools
import os
import sys
import threading
import time

from threadpoolctl import ThreadpoolController

_PROCESS, _TURN = os.getpid(), threading.RLock()


def cores():
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_threads(function, tasks, threads, progress=None):
    """Calls a function with each task, in threads.

    Args:
        function: Takes a task and returns how much work that was.
        tasks: An iterable.
        threads: How many threads to start.
        progress: A `Progress` that counts the work, or `None`.
    """
    tasks, lock, stop = iter(tasks), threading.Lock(), threading.Event()

    def work():
        while not stop.is_set():
            with lock:
                task = next(tasks, None)
            if task is None:
                return
            done = function(task)
            if progress:
                progress.step(done)

    if threads == 1:
        work()  # a short search takes less time than a thread to start
        return
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work) for _ in range(threads)]
        try:
            for future in futures:
                future.result()
        finally:
            stop.set()  # an error in one thread, or an interrupt, ends the others too


@contextlib.contextmanager
def single_blas():
    """Limits the BLAS to one thread per call, for one search at a time.

    The limit belongs to the process, and threadpoolctl restores the value it found. If two searches
    overlapped, the second would find the limit of the first and restore that for good. A search
    uses all cores anyway, so the second one waits.
    """
    with _TURN, _loaded_blas().limit(limits=1, user_api="blas"):
        yield


@functools.cache
def _loaded_blas():
    """The libraries that this process has loaded, NumPy's BLAS among them.

    To find them takes longer than to search a thousand items, so it is done once.
    """
    return ThreadpoolController()


@contextlib.contextmanager
def faiss_after_fork():
    """Lets faiss compute in one thread if this process was forked.

    A forked process does not have the threads of OpenMP, so faiss would wait for them forever.
    """
    if os.getpid() == _PROCESS:
        yield
        return
    import faiss

    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


class Progress:
    """A line on stderr that says how far a long search is and when it will end.

    Args:
        total: All the work, in any unit.
        show: Whether to write anything.
        every: Seconds between two lines.
    """

    def __init__(self, total, show=True, every=1.0):
        self.total, self.show, self.every = total, show, every
        self.done = 0
        self._lock = threading.Lock()
        self._start = self._written = time.monotonic()

    def step(self, work):
        """Adds work that is done; any thread may call it."""
        with self._lock:
            self.done += work
            now = time.monotonic()
            finished = self.done >= self.total
            if self.show and (finished or now - self._written >= self.every):
                self._written = now
                print(f"\r{self.line(now - self._start)}", end="", file=sys.stderr, flush=True)
                if finished:
                    print(file=sys.stderr)

    def line(self, seconds):
        """The line to show so many seconds after the start."""
        done = self.done / self.total
        if not done:
            return "retrieval: 0%"
        if done >= 1:
            return f"retrieval: 100% in {seconds:.0f} s" + " " * 24
        left = seconds / done * (1 - done)
        end = time.strftime("%H:%M:%S", time.localtime(time.time() + left))
        return f"retrieval: {done:.0%}, {left:.0f} s left, until {end}   "
