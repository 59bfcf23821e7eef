"""Work in threads: NumPy computes outside of Python's lock."""

import concurrent.futures
import contextlib
import os
import threading

import faiss
from threadpoolctl import threadpool_limits

_PROCESS, _TURN = os.getpid(), threading.RLock()


def cores():
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_threads(function, tasks, threads, watch=None):
    """Calls a function with each task, in threads; what it returns is the work done."""
    tasks, lock, stop = iter(tasks), threading.Lock(), threading.Event()

    def work():
        while not stop.is_set():
            with lock:
                task = next(tasks, None)
            if task is None:
                return
            done = function(task)
            if watch:
                watch.step(done)

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work) for _ in range(threads)]
        try:
            for future in futures:
                future.result()
        finally:
            stop.set()  # an error in one thread, or an interrupt, ends the others too


@contextlib.contextmanager
def single_blas():
    """Limits the BLAS to one thread a call, for one search at a time.

    The limit belongs to the process, and threadpoolctl puts back what it found. Of two searches
    that overlap, the later one would find the limit of the other and leave it for good. A search
    takes all cores anyway, so the other one waits.
    """
    with _TURN, threadpool_limits(1, user_api="blas"):
        yield


@contextlib.contextmanager
def faiss_after_fork():
    """Lets faiss compute in one thread if this process was forked.

    OpenMP's threads do not follow into a forked process, where faiss would wait for them forever.
    """
    if os.getpid() == _PROCESS:
        yield
        return
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)
