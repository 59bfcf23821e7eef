"""What a gallery must contain after each change, computed with plain lists.

Change number k is a function of k. So a gallery of version k has one right content.
"""

import random

import numpy as np

DIMS = 4
OPERATIONS = ("append", "append", "append", "remove", "replace", "compact", "set", "embedder")


def vectors_of(step, count):
    """The vectors that change number `step` writes, `[count, 4]`."""
    return (np.arange(count * DIMS, dtype="f4") + 1000 * step).reshape(count, DIMS)


class Expected:
    """Rows as lists, and the changes to them."""

    def __init__(self):
        self.step = 0
        self.rows = []  # [id, label, metadata, vector, is removed]
        self.settings = {}
        self.embedder = None

    def next_change(self):
        """The name of the next change, its arguments, and what it does to the lists.

        Returns:
            The name of a method of `Storage`, its arguments, and a function without arguments.
        """
        step, rng = self.step + 1, random.Random(self.step)
        there = [row for row, item in enumerate(self.rows) if not item[4]]
        kind = rng.choice(OPERATIONS)
        if kind == "remove" and there:
            rows = rng.sample(there, rng.randint(1, min(4, len(there))))
            return "remove", (rows,), lambda: self._remove(rows)
        if kind == "replace" and there:
            rows = rng.sample(there, rng.randint(1, min(4, len(there))))
            arguments = (vectors_of(step, len(rows)), *_of_step(step, len(rows)))
            return "replace", (rows, *arguments), lambda: self._replace(rows, *arguments)
        if kind == "compact" and len(there) < len(self.rows):
            return "compact", (), self._compact
        if kind == "set":
            return "set", {"threshold": step}, lambda: self.settings.update(threshold=step)
        if kind == "embedder":
            content = str(step).encode() * 1000
            return "write_embedder", (content,), lambda: setattr(self, "embedder", content)
        return self._append(step, rng.choice([1, 2, 7, 40]), rng.random() < 0.5)

    def _append(self, step, count, is_bare):
        ids = list(range(1000 * step, 1000 * step + count))
        labels, metadata = (None, None) if is_bare else _of_step(step, count)
        arguments = (vectors_of(step, count), ids, labels, metadata)
        return "append", arguments, lambda: self._add(*arguments)

    def advance(self):
        """Makes the next change."""
        self.next_change()[2]()
        self.step += 1

    def _add(self, vectors, ids, labels, metadata):
        labels = labels or [None] * len(ids)
        metadata = metadata or [{}] * len(ids)
        for item in zip(ids, labels, metadata, vectors.tolist(), strict=True):
            self.rows.append([*item, False])

    def _remove(self, rows):
        for row in rows:
            self.rows[row][4] = True

    def _replace(self, rows, vectors, labels, metadata):
        self._remove(rows)
        self._add(vectors, [self.rows[row][0] for row in rows], labels, metadata)

    def _compact(self):
        self.rows = [row for row in self.rows if not row[4]]

    def content(self):
        """Everything there is, for a comparison with `content_of`."""
        return {"rows": self.rows, "settings": self.settings, "embedder": self.embedder}


def _of_step(step, count):
    labels = [None if i % 3 == 2 else f"class {(step + i) % 5}" for i in range(count)]
    return labels, [{"step": step, "shop": "ABC"[i % 3]} if i % 4 else {} for i in range(count)]


def content_of(storage):
    """Everything there is in a storage."""
    rows = range(storage.num_rows)
    vectors = [vector.tolist() for segment in storage.segments for vector in segment]
    columns = (storage.ids(rows), storage.labels(rows), storage.metadata(rows), vectors)
    return {
        "rows": [list(row) for row in zip(*columns, storage.removed.tolist(), strict=True)],
        "settings": storage.settings,
        "embedder": storage.embedder_path and storage.embedder_path.read_bytes(),
    }
