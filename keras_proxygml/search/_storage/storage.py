"""Storage of a gallery: every change is a transaction, in memory or in a folder."""

import contextlib
import os
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_proxygml.checks import refuse
from keras_proxygml.search._storage import changes, compaction, copying
from keras_proxygml.search._storage.catalog import Catalog
from keras_proxygml.search._storage.contents import Contents, read_contents
from keras_proxygml.search._storage.database import file_of
from keras_proxygml.search._storage.files import delete_files
from keras_proxygml.search._storage.home import Home
from keras_proxygml.search._storage.view import Ids, Labels, Rows, View

Metadata = Mapping[str, str | int | float | bool | None]


def _absolute(path):
    # The process may change its folder while the gallery is open.
    return Path(os.path.abspath(path))


class Storage(View):
    """Vectors, ids, labels and metadata of a gallery's items.

    Rows are numbered from 0 in the order of insertion. A removed row keeps its number until
    `compact`. A storage in a folder shows the version that was there when it was opened, until
    `reload`. Its first change makes it the folder's one writer, until `close`.

    Make one with `Storage.create` or `Storage.open`.
    """

    @classmethod
    def create(cls, path: str | Path | None = None) -> "Storage":
        """Makes an empty storage: in a new folder, or in memory if `path` is `None`."""
        storage = cls(Home(Catalog.create().fill()), Contents())
        if path is None:
            return storage
        if copying.check_target(_absolute(path)):
            refuse("path", "be new", f"path={str(path)!r}", "Open the gallery that is there.")
        with storage:
            storage.copy_to(path)
        return cls.open(path)

    @classmethod
    def open(cls, path: str | Path) -> "Storage":
        """Opens a saved gallery, and checks all its files against their checksums.

        That reads each file once. A million vectors `[128]` take about 0.3 seconds.

        Raises:
            FileNotFoundError: If there is no folder.
            ValueError: If the folder is no gallery, or a damaged one, or has a newer format.
        """
        return cls(*Home.open(_absolute(path), {}))

    def append(
        self,
        vectors: np.ndarray,
        ids: Ids,
        labels: Labels | None = None,
        metadata: Sequence[Metadata] | None = None,
        *,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Appends items, in one transaction.

        Args:
            vectors: Vectors `[N, D]`, float32. A storage in memory keeps this array and makes it
                read-only.
            ids: Ids `[N]`, all integers or all strings. None of them is there already.
            labels: Labels `[N]`, all integers or all strings; `None` for no label.
            metadata: A dict per item.
            settings: Settings to change in the same transaction.

        Raises:
            ValueError: If lengths or types differ, or an id is there already.
        """
        if not len(vectors):
            return
        with self._transaction():
            changes.insert(self._home, self._contents, self.removed, vectors, ids, labels, metadata)
            self._home.catalog.write_settings(settings or {})

    def replace(
        self,
        rows: Rows,
        vectors: np.ndarray,
        labels: Labels | None = None,
        metadata: Sequence[Metadata] | None = None,
        *,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Replaces items, in one transaction. They keep their ids and get new rows at the end.

        Args:
            rows: Rows `[N]` of items that are there.
            vectors, labels, metadata, settings: As in `append`.

        Raises:
            ValueError: If a row is not there, or as in `append`.
        """
        rows = self._checked(rows, there=True)
        if not len(rows):
            return
        ids = self.ids(rows)
        with self._transaction():
            removed = changes.remove(self._home, self._contents, rows)
            changes.insert(self._home, self._contents, removed, vectors, ids, labels, metadata)
            self._home.catalog.write_settings(settings or {})

    def remove(self, rows: Rows) -> None:
        """Removes the items of rows that are there, in one transaction.

        Raises:
            ValueError: If a row is not there.
        """
        rows = self._checked(rows, there=True)
        if len(rows):
            with self._transaction():
                changes.remove(self._home, self._contents, rows)

    def set(self, **settings: Any) -> None:
        """Changes settings, in one transaction. The values are JSON."""
        with self._transaction():
            self._home.catalog.write_settings(settings)

    def write_embedder(
        self,
        source: bytes | Callable[[Path], object],
        *,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Replaces the embedder's file, in one transaction.

        Args:
            source: Its content, or a function that writes it to the path that it is given.
            settings: Settings to change in the same transaction.
        """
        folder = self.path
        if folder is None:
            self._temporary = self._temporary or tempfile.TemporaryDirectory()
            folder = Path(self._temporary.name)
        write = copying.embedder_writer(source)
        with self._transaction():
            is_first = self._contents.state.embedder is None
            name = "embedder.keras" if is_first else f"embedder-{self.version + 1:08d}.keras"
            checksum = copying.write_embedder(folder / name, write)
            self._home.catalog.update_state(embedder=name, embedder_checksum=checksum)
            self._home.catalog.write_settings(settings or {})
            self._home.known[name, checksum] = None
        if self.path is None:
            delete_files(path for path in folder.iterdir() if path.name != name)

    def copy_to(
        self,
        path: str | Path,
        *,
        embedder: bytes | Callable[[Path], object] | None = None,
    ) -> None:
        """Saves a copy, with the same rows. A gallery that is there is replaced at one moment.

        Args:
            path: A new folder, or that of a gallery. Its own folder has all changes already.
            embedder: As `source` of `write_embedder`, or `None` for the embedder that is there.

        Raises:
            ValueError: If there is something else at `path`, or a gallery that has a writer.
        """
        folder = _absolute(path)
        exists = copying.check_target(folder)
        if exists and self.path is not None and file_of(folder) == file_of(self.path):
            if embedder is not None:
                self.write_embedder(embedder)
            return
        write_embedder = self._embedder_writer(embedder)

        def write(folder, version):
            arguments = (folder, catalog, self._contents, version, write_embedder)
            return copying.write_gallery(*arguments)

        with self._reading() as catalog:
            if exists:
                copying.copy_over(folder, self.version, write)
            else:
                copying.copy_to_new(folder, lambda new: write(new, self.version))

    def _embedder_writer(self, embedder):
        if embedder is not None:
            return copying.embedder_writer(embedder)
        if self.embedder_path is None:
            return None
        return copying.copier(self.embedder_path, self._contents.state.embedder_checksum)

    def compact(self) -> None:
        """Frees the space of removed rows. The other rows are numbered again."""
        if not self._contents.state.num_removed:
            return
        with self._reading():
            home = self._home
            home.become_writer(self.version)
            try:
                compaction.compact(home, self._contents)
            finally:
                self._contents = read_contents(home.catalog, home.path, home.known)

    def reload(self, follow: Callable[[dict[str, Any], Path | None], object] | None = None) -> None:
        """Shows what a writer has changed since.

        Args:
            follow: A function of the new settings and the path of the new embedder, called before
                anything changes. If it raises, nothing does.
        """
        if self._home.is_writer:
            return
        with self._reading():
            home, contents = Home.open(self.path, dict(self._home.known), self._home)
        if follow is not None:
            try:
                name = contents.state.embedder
                follow(home.catalog.settings(), None if name is None else home.path / name)
            except BaseException:
                home.close()
                raise
        self._finalizer()
        self._home, self._contents = home, contents
        self._finalizer = weakref.finalize(self, home.close)

    def check_in_place(self) -> None:
        """Raises a `ValueError` if the folder has been replaced or deleted."""
        self._home.check_in_place()

    def verify(self) -> None:
        """Checks all files against their checksums, as `open` does.

        Raises:
            ValueError: If a file is damaged.
        """
        with self._reading() as catalog:
            if self.path is not None:
                catalog.check_structure()
                read_contents(catalog, self.path, {}, is_new=True)

    def close(self) -> None:
        """Closes the files. Another process may then write."""
        self._finalizer()
        if self._temporary is not None:
            self._temporary.cleanup()

    def __enter__(self) -> "Storage":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._reading():
            self._home.become_writer(self.version)
            catalog = self._home.catalog
            catalog.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                catalog.update_state(version=self.version + 1)
                catalog.connection.execute("COMMIT")
            except BaseException:
                if catalog.connection.in_transaction:
                    catalog.connection.execute("ROLLBACK")
                self._home.clean()
                raise
            finally:
                self._refresh()
            self._home.publish(self.version)

    def _refresh(self) -> None:
        home = self._home
        self._contents = read_contents(home.catalog, home.path, home.known, self._contents)
