"""Kills a process before every line that the package executes in a change or a save.

    python -m benchmarks.reliability.line_kills [--stride 1]

For each kind of change, the first child kills itself before the first line, the second before the
second, and so on. After each kill, the gallery must be as before the change or as after it, and
the next writer must work. This is the systematic counterpart of `kills`, whose kills also hit
SQLite and the system in the middle of a line.

Prints JSON: the kills of each kind of change, and what was found wrong, which must be an empty
list.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
from pathlib import Path

from benchmarks.reliability import bare as bare
from benchmarks.reliability.expected import Expected
from benchmarks.reliability.kills import LIVE, SAVED, at_step, change, child, wrong
from keras_proxygml.search._storage.storage import Storage


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--stride", type=int, default=1, help="kill before every n-th line only")
    return parser.parse_args()


def kill_before_line(number, action):
    """Does something, and kills this process before the n-th line of the package that it executes.

    Returns:
        How many lines were executed, if it was not killed.
    """
    count = 0

    def trace(frame, event, _):
        nonlocal count
        if "keras_proxygml" not in frame.f_code.co_filename:
            return None
        if event == "line":
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(None)
    return count


def line_cases():
    """One case of each kind of change and of both kinds of save: name, step before it, action."""
    expected, seen = Expected(), {}
    while len(seen) < 6:
        seen.setdefault(expected.next_change()[0], expected.step)
        expected.advance()
    for name, step in seen.items():
        # A storage that already writes differs from one whose first change this is.
        yield name, step, lambda storage, folder, step=step: change(storage, at_step(step))
    for name in ("save to a new folder", "save over a gallery"):
        yield name, 12, lambda storage, folder: storage.copy_to(folder / SAVED)


def kills_at_lines(folder, stride):
    """Kills before every line, or every n-th. Returns a dict of results."""
    kills, problems = {}, []
    for name, step, action in line_cases():
        _build(folder, step, has_copy=name == "save over a gallery")
        number = kills[name] = 0
        is_killed = True
        while is_killed:
            number += 1 + (stride - 1) * (number > 0)
            is_killed, found = _kill_at(folder, number, step, action, name)
            problems += [f"{name}, line {number}: {problem}" for problem in found]
            kills[name] += is_killed
        shutil.rmtree(folder / "before")
    return {"kills": kills, "problems": problems}


def _build(folder, step, has_copy):
    (folder / "before").mkdir()
    with Storage.create(folder / "before" / LIVE) as storage:
        expected = Expected()
        for _ in range(step):
            if has_copy and expected.step == step // 2:
                storage.copy_to(folder / "before" / SAVED)
            change(storage, expected)


def _kill_at(folder, number, step, action, name):
    now = folder / "now"
    shutil.copytree(folder / "before", now)

    def run(_, report):
        storage = Storage.open(now / LIVE)
        kill_before_line(number, lambda: action(storage, now))
        storage.close()

    process, reading = child(folder, run)
    status = os.waitpid(process, 0)[1]
    with open(reading) as pipe:
        problems = pipe.read().splitlines()
    saved = {"save to a new folder": [None, step], "save over a gallery": [step // 2, step]}
    problems.append(wrong(now / LIVE, [step] if name in saved else [step, step + 1]))
    problems.append(wrong(now / SAVED, saved.get(name, [None])))
    problems += _work_on(now)
    shutil.rmtree(now)
    return os.WIFSIGNALED(status), [problem for problem in problems if problem]


def _work_on(folder):
    """What is wrong after a next writer has changed and saved: a list of words."""
    try:
        with Storage.open(folder / LIVE) as storage:
            expected = at_step(storage.version)
            change(storage, expected)
            storage.copy_to(folder / SAVED)
            names = {path.name for path in (folder / LIVE).iterdir()}
            catalogs = sum(name.endswith(".db") for name in names)
            vectors = sum(name.startswith("vectors") for name in names)
            if catalogs != 1 or vectors != len(storage.segments):
                return [f"leftover files: {sorted(names)}"]
    except Exception:
        return [traceback.format_exc()]
    abandoned = [path.name for path in folder.iterdir() if path.name not in (LIVE, SAVED)]
    # Only a save to a new folder has to look for abandoned copies.
    problems = [wrong(folder / name, [expected.step]) for name in (LIVE, SAVED)]
    return [*problems, *(f"a second abandoned copy: {x}" for x in abandoned[1:])]


def main():
    options = arguments()
    with tempfile.TemporaryDirectory(dir=bare.FOLDER) as folder:
        result = kills_at_lines(Path(folder), options.stride)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
