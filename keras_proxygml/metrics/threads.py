"""Work in threads: NumPy computes outside of Python's lock."""

import concurrent.futures
import os
import threading


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
