"""Layouts that a gallery could be stored in. Each has the same five functions.

`storage_layouts` runs `python -m benchmarks.speed.storage_contenders` in the interpreter of a
contender, which need not have Keras, and kills it.
"""

import json
import os
import shutil
import sys
import time
import zipfile
from pathlib import Path

import numpy as np

DIMS = 512
PREFIX = "items"


def data(start, count):
    """Vectors, ids, labels and metadata of items."""
    vectors = np.random.default_rng(start).standard_normal((count, DIMS), dtype="f4")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    numbers = range(start, start + count)
    metadata = [{"shop": f"shop {i % 20}", "price": i % 997} for i in numbers]
    return vectors, [f"sku-{i}" for i in numbers], [f"class {i % 1000}" for i in numbers], metadata


class Segments:
    """Ours: memory-mapped .npy segments, and an SQLite database for all else."""

    def __init__(self, folder):
        from benchmarks.reliability import bare as bare
        from keras_proxygml.search._storage.storage import Storage

        self.storage, self.path = Storage, folder / "items.gallery"

    def save(self, items):
        with self.storage.create() as storage:
            storage.append(*items)
            storage.copy_to(self.path)

    def open(self):
        self.opened = self.storage.open(self.path)

    def search(self, query):
        parts = [segment @ query for segment in self.opened.segments]
        return self.opened.ids([int(np.argmax(np.concatenate(parts)))])[0]

    def add(self, items):
        self.opened.append(*items)

    def count(self):
        self.open()
        self.opened.verify()
        return len(self.opened)


class Zip:
    """One zip file, as `numpy.savez` writes it: all is read at opening, and written at each add."""

    def __init__(self, folder):
        self.path = self.target = folder / "items.npz"

    def save(self, items):
        vectors, ids, labels, metadata = items
        texts = np.array([json.dumps(values) for values in metadata])
        with open(self.target, "wb") as file:
            np.savez(file, vectors=vectors, ids=ids, labels=labels, metadata=texts)
            file.flush()
            os.fsync(file.fileno())

    def open(self):
        with np.load(self.path, allow_pickle=False) as file:
            self.opened = dict(file)

    def search(self, query):
        return str(self.opened["ids"][int(np.argmax(self.opened["vectors"] @ query))])

    def add(self, items):
        vectors, ids, labels, metadata = items
        before = self.opened
        before_metadata = [json.loads(text) for text in before["metadata"].tolist()]
        self.save(
            (
                np.concatenate([before["vectors"], vectors]),
                np.concatenate([before["ids"], ids]),
                np.concatenate([before["labels"], labels]),
                before_metadata + metadata,
            )
        )

    def count(self):
        self.open()
        return len(self.opened["vectors"])


class ZipRenamed(Zip):
    """The same, but each add writes a second file, which then gets the name."""

    def __init__(self, folder):
        super().__init__(folder)
        self.target = folder / "items.npz.new"

    def save(self, items):
        super().save(items)
        os.replace(self.target, self.path)


class LanceDB:
    """LanceDB: versioned fragments in its own format."""

    def __init__(self, folder):
        import lancedb

        self.database = lancedb.connect(folder / "items.lancedb")

    def _table(self, items):
        import pyarrow

        vectors, ids, labels, metadata = items
        column = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(vectors.reshape(-1)), DIMS)
        fields = {name: [values[name] for values in metadata] for name in metadata[0]}
        return pyarrow.table({"vector": column, "id": ids, "label": labels, **fields})

    def save(self, items):
        self.database.create_table("items", self._table(items))

    def open(self):
        self.opened = self.database.open_table("items")

    def search(self, query):
        found = self.opened.search(query).distance_type("cosine").limit(1).to_arrow()
        return found["id"][0].as_py()

    def add(self, items):
        self.opened.add(self._table(items))

    def count(self):
        self.open()
        return len(self.opened.to_arrow())


CONTENDERS = {"ours": Segments, "zip": Zip, "zip_renamed": ZipRenamed, "lancedb": LanceDB}


def timed(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measure(name, folder, count, added):
    """Seconds and bytes of everything but kills, as a dict."""
    items, more = data(0, count), data(count, added)
    query = items[0][count // 2]
    result = {"save": timed(CONTENDERS[name](folder).save, items)}
    result["bytes"] = size(folder)
    contender = CONTENDERS[name](folder)
    result["open"] = timed(contender.open)
    result["first_search"] = timed(contender.search, query)
    if (found := contender.search(query)) != items[1][count // 2]:
        raise RuntimeError(f"{name} found {found}")
    result["add"] = timed(contender.add, more)
    result["bytes_after_add"] = size(folder)
    return result


def main():
    """Does one step: `measure`, `add` or `count`. Prints JSON."""
    step, name, folder, count, added = sys.argv[1:]
    folder, count, added = Path(folder), int(count), int(added)
    if step == "measure":
        print(json.dumps(measure(name, folder, count, added)))
    elif step == "save":
        CONTENDERS[name](folder).save(data(0, count))
    elif step == "add":
        contender, items = CONTENDERS[name](folder), data(count, added)
        contender.open()
        print("ready", flush=True)
        contender.add(items)
        print("added", flush=True)
    elif step == "count":
        try:
            print(json.dumps({"count": CONTENDERS[name](folder).count()}))
        except (ValueError, OSError, RuntimeError, EOFError, KeyError, zipfile.BadZipFile) as error:
            print(json.dumps({"error": f"{type(error).__name__}: {error}"[:200]}))
    elif step == "clean":
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
