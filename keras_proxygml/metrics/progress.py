"""A line on stderr that says how far a long search is and when it will end."""

import sys
import threading
import time


class Progress:
    """Counts work done, from any thread.

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
        """Says that so much more is done."""
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
        """What to show so many seconds after the start."""
        done = self.done / self.total
        if not done:
            return "retrieval: 0%"
        if done >= 1:
            return f"retrieval: 100% in {seconds:.0f} s" + " " * 24
        left = seconds / done * (1 - done)
        end = time.strftime("%H:%M:%S", time.localtime(time.time() + left))
        return f"retrieval: {done:.0%}, {left:.0f} s left, until {end}   "
