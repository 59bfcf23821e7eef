"""Kills a process that changes and saves a gallery, and checks what is left.

    python -m benchmarks.reliability.kills [--kills 1000] [--seed 0]

A child process adds, removes, replaces, compacts and saves. After a random time it gets SIGKILL.
Then the gallery and its saved copies must be as they were before the change that was interrupted,
or as after it. The next child works on with the same gallery.

Prints JSON: the kills, those in the middle of a change, and what was found wrong, which must be
an empty list.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from benchmarks.reliability import bare as bare
from benchmarks.reliability.expected import Expected, content_of
from keras_proxygml.search._storage.storage import Storage

LIVE, SAVED, DROPPED = "live.gallery", "saved.gallery", "dropped.gallery"
STEPS = 60  # a gallery starts from scratch after so many changes, so that it stays small


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def at_step(step):
    expected = Expected()
    for _ in range(step):
        expected.advance()
    return expected


def change(storage, expected):
    name, values, _ = expected.next_change()
    method = getattr(storage, name)
    method(**values) if isinstance(values, dict) else method(*values)
    expected.advance()


def work(folder, report):
    """What a child does until it is killed: a change, then a save, which is new now and then."""
    storage = Storage.open(folder / LIVE)
    expected = at_step(storage.version)
    while True:
        report(f"change {expected.step + 1}")
        change(storage, expected)
        report(f"changed {expected.step}")
        if expected.step % 4 == 0 and (folder / SAVED).exists():
            report("drop -")
            os.rename(folder / SAVED, folder / DROPPED)
            report("dropped -")
            shutil.rmtree(folder / DROPPED)
        report(f"save {expected.step}")
        storage.copy_to(folder / SAVED)
        report(f"saved {expected.step}")
        if expected.step % 10 == 0:
            storage.close()
            storage = Storage.open(folder / LIVE)


def child(folder, action):
    """Starts a process that does something.

    Returns:
        Its id, and the end of a pipe with its reports.
    """
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        status = 1
        try:
            os.close(reading)
            action(folder, lambda line: os.write(writing, f"{line}\n".encode()))
            status = 0
        except BaseException:
            os.write(writing, f"failed {traceback.format_exc()!r}\n".encode())
        finally:
            os._exit(status)
    os.close(writing)
    return process, reading


def killed(folder, delay):
    """Reports of a child that is killed after some seconds."""
    process, reading = child(folder, work)
    time.sleep(delay)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    with open(reading) as pipe:
        return [line.split(maxsplit=1) for line in pipe.read().splitlines()]


def wrong(path, steps):
    """What is wrong with a gallery that must be as after one of these steps: words, or `None`."""
    if not path.exists():
        return None if None in steps else f"{path.name} is missing"
    try:
        with Storage.open(path) as storage:
            storage.verify()
            found = content_of(storage)
    except Exception:
        return f"{path.name}: {traceback.format_exc()}"
    if all(step is None or found != at_step(step).content() for step in steps):
        return f"{path.name} is as after none of the steps {steps}"
    return None


class Trial:
    """A folder with a gallery and its saved copy, and how far both must be.

    Args:
        folder: The folder.
    """

    def __init__(self, folder):
        self.folder = folder
        self.problems = []
        self.interrupted = {"change": 0, "save": 0}
        self._restart()

    def _restart(self):
        for path in self.folder.iterdir():
            shutil.rmtree(path)
        Storage.create(self.folder / LIVE).close()
        self.changed, self.saved = 0, None

    def kill(self, delay):
        if self.changed > STEPS:
            self._restart()
        shutil.rmtree(self.folder / DROPPED, ignore_errors=True)
        lines = killed(self.folder, delay)
        live, saved = [self.changed], [self.saved]
        for kind, value in lines:
            if kind == "failed":
                self.problems.append(f"the next writer failed: {value}")
            if kind in ("change", "changed"):
                live = [*live, int(value)] if kind == "change" else [int(value)]
            if kind in ("save", "saved"):
                saved = [*saved, int(value)] if kind == "save" else [int(value)]
            if kind in ("drop", "dropped"):
                saved = [*saved, None] if kind == "drop" else [None]
        if lines and lines[-1][0] in self.interrupted:
            self.interrupted[lines[-1][0]] += 1
        self.check(live, saved)

    def check(self, live, saved):
        """Compares what is there, and finds out how far it is."""
        problems = [wrong(self.folder / LIVE, live), wrong(self.folder / SAVED, saved)]
        self.problems += [problem for problem in problems if problem]
        if any(problems):
            self._restart()
            return
        with Storage.open(self.folder / LIVE) as storage:
            self.changed = storage.version
        is_there = (self.folder / SAVED).exists()
        steps = [step for step in saved if step is not None] if is_there else []
        right = [step for step in steps if wrong(self.folder / SAVED, [step]) is None]
        self.saved = right[0] if right else None


def kills_at_random(folder, kills, seed):
    """Kills after random times. Returns a dict of results."""
    trial, rng = Trial(folder), random.Random(seed)
    for count in range(kills):
        trial.kill(rng.uniform(0.002, 0.08))
        if (count + 1) % 100 == 0:
            print(f"{count + 1} kills, problems: {len(trial.problems)}", file=sys.stderr)
    return {
        "kills": kills,
        "in_a_change": trial.interrupted["change"],
        "in_a_save": trial.interrupted["save"],
        "abandoned_copies": len(list(folder.glob(".*"))),
        "problems": trial.problems,
    }


def main():
    options = arguments()
    with tempfile.TemporaryDirectory(dir=bare.FOLDER) as folder:
        result = kills_at_random(Path(folder), options.kills, options.seed)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
