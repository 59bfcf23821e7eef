"""What a storage shows of a gallery: vectors, ids, labels, metadata and settings."""

import contextlib
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_proxygml.checks import refuse
from keras_proxygml.search._storage import filters, items, lookups
from keras_proxygml.search._storage.catalog import Catalog
from keras_proxygml.search._storage.contents import Contents
from keras_proxygml.search._storage.database import damage_of
from keras_proxygml.search._storage.home import Home

Id = int | str
Rows = Sequence[int] | np.ndarray
Ids = Sequence[Id] | np.ndarray
Labels = Sequence[Id | None] | np.ndarray
TYPES: dict[str | None, type | None] = {"int": int, "str": str, None: None}


class View:
    """A gallery's items as they were when it was opened.

    Args:
        home: Where the gallery lives.
        contents: What it contains.
    """

    def __init__(self, home: Home, contents: Contents):
        self._home = home
        self._contents = contents
        self._temporary: tempfile.TemporaryDirectory | None = None
        self._labeled: tuple[object, np.ndarray] = (None, np.zeros(0, bool))
        # A storage that is not closed is closed at its end, or at that of the process.
        self._finalizer = weakref.finalize(self, home.close)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Catalog]:
        catalog = self._home.catalog
        with catalog.lock:
            if catalog.connection is None:
                refuse("gallery", "be open", "a closed one", "Open it again.")
            with damage_of(catalog.path):
                yield catalog

    def _checked(self, rows: Rows, *, there: bool = False) -> np.ndarray:
        rows = np.asarray(rows, np.int64).reshape(-1)
        if np.any((rows < 0) | (rows >= self.num_rows)):
            outside = rows[(rows < 0) | (rows >= self.num_rows)][0]
            refuse("rows", f"be in [0, {self.num_rows})", f"row {outside}")
        if there and (np.any(self.removed[rows]) or len(np.unique(rows)) < len(rows)):
            refuse("rows", "be different rows that are there", f"{rows.tolist()[:10]}")
        return rows

    @property
    def path(self) -> Path | None:
        """The gallery's folder, or `None` in memory."""
        return self._home.path

    @property
    def version(self) -> int:
        """A number that rises with each change."""
        return self._contents.state.version

    @property
    def dims(self) -> int | None:
        """Length D of a vector, or `None` while there has been none."""
        return self._contents.state.dims

    @property
    def num_rows(self) -> int:
        """Number of rows, those that are removed included."""
        return self._contents.state.num_rows

    @property
    def numbering(self) -> object:
        """What tells whether rows have the same numbers: another object after `compact`.

        It is also another one after `reload`, if the folder holds another gallery then.
        """
        return self._home.numbering

    @property
    def segments(self) -> list[np.ndarray]:
        """The vectors of all rows: arrays or memory maps `[n, D]`, float32, read-only."""
        return list(self._contents.arrays)

    @property
    def removed(self) -> np.ndarray:
        """Whether a row is removed. `[num_rows]`, bool, read-only."""
        return self._contents.removed

    @property
    def id_type(self) -> type | None:
        """`int` or `str`, or `None` while there has been no id."""
        return TYPES[self._contents.state.id_type]

    @property
    def label_type(self) -> type | None:
        """`int` or `str`, or `None` while there has been no label."""
        return TYPES[self._contents.state.label_type]

    @property
    def settings(self) -> dict[str, Any]:
        """All settings, by name. `set` changes them."""
        with self._reading() as catalog:
            return catalog.settings()

    @property
    def embedder_path(self) -> Path | None:
        """The embedder's file, or `None`."""
        name = self._contents.state.embedder
        folder = self._temporary.name if self._temporary is not None else self.path
        return None if name is None or folder is None else Path(folder) / name

    def __len__(self) -> int:
        return self.num_rows - self._contents.state.num_removed

    def ids(self, rows: Rows) -> list[Id]:
        """The ids of rows."""
        with self._reading() as catalog:
            return lookups.ids_of(catalog.connection, self._checked(rows))

    def labels(self, rows: Rows) -> list[Id | None]:
        """The labels of rows, `None` where there is none."""
        with self._reading() as catalog:
            return lookups.labels_of(catalog.connection, self._checked(rows))

    def metadata(self, rows: Rows) -> list[dict[str, Any]]:
        """The metadata of rows."""
        with self._reading() as catalog:
            return lookups.metadata_of(catalog.connection, self._checked(rows))

    def next_id(self) -> int:
        """The integer after the greatest id there has been. Only if ids are integers."""
        with self._reading() as catalog:
            return lookups.next_id(catalog.connection)

    def is_labeled(self) -> np.ndarray:
        """Whether a row is there and has a label. `[num_rows]`, bool."""
        numbering, labeled = self._labeled
        if numbering is not self.numbering:
            labeled = np.zeros(0, bool)
        if len(labeled) < self.num_rows:  # a row never changes its label
            with self._reading() as catalog:
                new = lookups.is_labeled(catalog.connection, len(labeled), self.num_rows)
            labeled = np.concatenate([labeled, new])
        self._labeled = self.numbering, labeled
        return labeled & ~self.removed

    def all_labels(self) -> tuple[np.ndarray, np.ndarray]:
        """The labels of all items that are there.

        Returns:
            The labels `[N]`: int64 or strings, or objects if some are `None`. And the rows `[N]`.
        """
        rows = np.flatnonzero(~self.removed)
        with self._reading() as catalog:
            return lookups.all_labels(catalog.connection, rows, self.num_rows), rows

    def rows_of(self, ids: Ids) -> np.ndarray:
        """The rows of the items with these ids, int64. -1 where none is there."""
        with self._reading() as catalog:
            return lookups.rows_of(catalog.connection, items.plain(ids), self.removed)

    def rows_where(self, conditions: Mapping[str, Any]) -> np.ndarray:
        """Which rows have these values in their metadata.

        Args:
            conditions: The value of each field. A list, an array or a range means any of its
                values. `None` means that the field is missing, or is `None`. As in Python, 1, 1.0
                and `True` are equal.

        Returns:
            Whether a row is there and meets all conditions. `[num_rows]`, bool.

        Raises:
            ValueError: If no item has such a field.
        """
        with self._reading() as catalog:
            meets = filters.rows_where(catalog.connection, conditions, self.num_rows)
        return meets & ~self.removed
