"""Two processes search a gallery and its saved copy, while a third one changes and saves it.

    python -m benchmarks.reliability.readers [--items 10000] [--saves 10]

The writer adds the items in batches, removes and compacts now and then, and saves. The vector,
label and metadata of an item follow from its id, so a reader can check each row that it finds.

Prints JSON: what was done, and what was found wrong, which must be an empty list.
"""

import argparse
import json
import os
import random
import tempfile
import traceback
from pathlib import Path

import numpy as np

from benchmarks.reliability import bare as bare
from benchmarks.reliability.kills import LIVE, SAVED, child
from keras_proxygml.search._storage.storage import Storage

DIMS, BATCH, READERS = 32, 100, 2


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--saves", type=int, default=10)
    return parser.parse_args()


def vectors_of(count):
    """The vectors of all ids, unit vectors `[count, 32]`."""
    vectors = np.random.default_rng(0).standard_normal((count, DIMS), dtype="f4")
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def item_of(number):
    return f"label {number % 7}", {"number": number, "even": number % 2 == 0}


def add(storage, vectors, ids):
    labels, metadata = zip(*map(item_of, ids), strict=True)
    storage.append(vectors[ids.start : ids.stop].copy(), ids, labels, metadata)


def write(folder, vectors, saves):
    """What the writer does."""
    batches = range(BATCH, len(vectors), BATCH)
    with Storage.open(folder / LIVE) as storage:
        for i, start in enumerate(batches, 1):
            add(storage, vectors, range(start, start + BATCH))
            if i % 10 == 0:
                storage.remove(np.flatnonzero(~storage.removed)[:5])
            if i % 25 == 0:
                storage.compact()
            if i % (len(batches) // saves) == 0:
                storage.copy_to(folder / SAVED)


def search(storage, vectors, rng):
    """Searches for a random item by a plain product. Returns what is wrong, or `None`."""
    number = rng.randrange(len(vectors))
    similarities = np.concatenate([part @ vectors[number] for part in storage.segments])
    similarities[storage.removed] = -2
    row = int(np.argmax(similarities))
    expected = row if similarities[row] > 0.9999 else -1
    (found,), (label,), (metadata,) = (
        x([row]) for x in (storage.ids, storage.labels, storage.metadata)
    )
    segment_row, position = row, 0
    while segment_row >= len(storage.segments[position]):
        segment_row -= len(storage.segments[position])
        position += 1
    right = item_of(found)
    if (label, metadata) != right:
        return f"item {found} has {label}, {metadata}"
    if not np.array_equal(storage.segments[position][segment_row], vectors[found]):
        return f"item {found} has another vector"
    if storage.rows_of([number])[0] != expected:
        return f"item {number} was found in row {expected} and is in {storage.rows_of([number])}"
    if storage.rows_where({"number": found}).nonzero()[0].tolist() != [row]:
        return f"item {found} is not where its metadata are"
    return None


def read(folder, vectors, seed, report):
    """What a reader does until the file `done` is there."""
    rng, searches, versions = random.Random(seed), 0, set()
    storage, copy = Storage.open(folder / LIVE), None
    while not (folder / "done").exists():
        storage.reload()
        versions.add(storage.version)
        if (folder / SAVED).exists():
            copy = copy or Storage.open(folder / SAVED)
            copy.reload()
        for gallery in (storage, copy or storage):
            problem = search(gallery, vectors, rng)
            searches += 1
            if problem:
                report(f"wrong {problem}")
        if rng.random() < 0.1:
            storage.close()
            storage = Storage.open(folder / LIVE)
    report(f"searches {searches}")
    report(f"versions {len(versions)}")


def run(folder, items, saves):
    """Starts all processes and waits for them. Returns a dict of results."""
    vectors = vectors_of(items + BATCH)
    with Storage.create(folder / LIVE) as storage:
        add(storage, vectors, range(BATCH))
    children = [
        child(folder, lambda folder, report, seed=seed: read(folder, vectors, seed, report))
        for seed in range(READERS)
    ]
    problems = []
    try:
        write(folder, vectors, saves)
    except Exception:
        problems.append(traceback.format_exc())
    (folder / "done").touch()
    result = {"items": items, "saves": saves, "searches": [], "versions": []}
    for process, reading in children:
        with open(reading) as pipe:
            for line in pipe.read().splitlines():
                kind, value = line.split(maxsplit=1)
                if kind in result:
                    result[kind].append(int(value))
                else:
                    problems.append(line)
        os.waitpid(process, 0)
    with Storage.open(folder / LIVE) as storage:
        result["items_left"] = len(storage)
    return {**result, "problems": problems}


def main():
    options = arguments()
    with tempfile.TemporaryDirectory(dir=bare.FOLDER) as folder:
        print(json.dumps(run(Path(folder), options.items, options.saves), indent=1))


if __name__ == "__main__":
    main()
