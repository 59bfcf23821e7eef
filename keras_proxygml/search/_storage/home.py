"""Where a gallery lives: its folder, the manifest, the catalog, and the lock of the writer."""

import os
import re

from keras_proxygml.checks import refuse
from keras_proxygml.search._storage.catalog import Catalog
from keras_proxygml.search._storage.contents import EMBEDDER, read_contents
from keras_proxygml.search._storage.database import closed_checksum, file_of
from keras_proxygml.search._storage.files import WriterLock, delete_files, refuse_damaged
from keras_proxygml.search._storage.manifest import CATALOG, read_manifest, write_manifest
from keras_proxygml.search._storage.segments import NAME as SEGMENT

OURS = re.compile(
    f"({SEGMENT.pattern})|({EMBEDDER.pattern})|({CATALOG.pattern})(-wal|-shm)?"
    r"|manifest\.json\.new"
)


def settled(path, action):
    """Does something with a gallery that may change meanwhile.

    A writer deletes files that are no longer needed after it has replaced the manifest. So a reader
    that misses a file looks again if the manifest has changed, and else the gallery is damaged.

    Args:
        path: The gallery's folder.
        action: A function of the `Manifest`.

    Returns:
        What `action` returns.
    """
    while True:
        manifest = read_manifest(path)
        try:
            return action(manifest)
        except (ValueError, FileNotFoundError) as error:
            if read_manifest(path) != manifest:
                continue
            if isinstance(error, FileNotFoundError):
                refuse_damaged(path, f"a file is missing: {error.filename}")
            raise


class Home:
    """A catalog, and the folder that it is in.

    Args:
        catalog: The `Catalog`.
        path: The folder, or `None` in memory.
        manifest: The `Manifest`, or `None` in memory.
        numbering: What tells whether rows have the same numbers, an object. By default a new one.
    """

    def __init__(self, catalog, path=None, manifest=None, numbering=None):
        self.catalog = catalog
        self.path = path
        self.manifest = manifest
        self.numbering = numbering or object()
        self.known = {}
        self._lock = None
        self._process = os.getpid()

    @classmethod
    def open(cls, path, known, before=None):
        """Opens a gallery to read.

        Args:
            path: Its folder.
            known: Arrays of segments that are open, as in `read_contents`.
            before: The `Home` that was open before, or `None`.

        Returns:
            The `Home` and its `Contents`.
        """

        def action(manifest):
            address, checksum = path / manifest.catalog, manifest.catalog_checksum
            # A renamed folder may bring another gallery, whose catalog has the same name.
            file = None if before is None else before.catalog.file
            catalog = Catalog.open(address, checksum, thorough=file != file_of(address))
            is_new = file != catalog.file
            home = cls(catalog, path, manifest, None if is_new else before.numbering)
            try:
                contents = read_contents(home.catalog, path, known, is_new=is_new)
                if contents.state.version < manifest.version:
                    refuse_damaged(path, "the catalog lacks the last changes")
            except BaseException:
                home.catalog.close()
                raise
            home.known = known
            return home, contents

        return settled(path, action)

    @property
    def is_writer(self):
        """Whether it may be written to: it is in memory, or this process holds its lock."""
        return self.path is None or self._lock is not None

    def become_writer(self, version):
        """Takes the lock of the writer.

        Args:
            version: The version that the caller knows.

        Raises:
            ValueError: If there is another writer, or has been one since, or the folder is another.
        """
        if self.is_writer:
            self.check_in_place()
            return
        lock = WriterLock(self.path)
        try:
            catalog = self._open_to_write(version)
        except BaseException:
            lock.release()
            raise
        self.catalog.close()
        self.catalog, self._lock = catalog, lock
        self.publish(version)

    def _open_to_write(self, version):
        manifest = read_manifest(self.path)
        address, checksum = self.path / manifest.catalog, manifest.catalog_checksum
        catalog = Catalog.open(address, checksum, writing=True)
        newest = catalog.state().version
        if (catalog.file, newest) != (self.catalog.file, version):
            catalog.close()
            received = f"{self.path}, which another process has changed since it was loaded"
            refuse("path", "be the gallery as it is now", received, "Call reload() first.")
        return catalog

    def check_in_place(self):
        """Raises a `ValueError` if the folder has been replaced or deleted."""
        if self.path is not None and file_of(self.catalog.path) != self.catalog.file:
            received = f"{self.path}, which has been replaced or deleted since"
            hint = "Close the gallery, and load the one that is there."
            refuse("path", "be the folder that the gallery was loaded from", received, hint)

    def publish(self, version):
        """Writes a manifest without checksum, and deletes the files that nothing names now."""
        if self.path is None:
            return
        self.manifest = self.manifest._replace(version=version, catalog_checksum=None)
        write_manifest(self.path, self.manifest)
        self.clean()

    def clean(self):
        """Deletes the files of ours that nothing names."""
        if self.path is not None:
            clean(self.path, self.catalog, self.manifest)

    def switch(self, manifest):
        """Makes another catalog the valid one. The lock stays."""
        self.manifest = manifest
        write_manifest(self.path, manifest)
        self.catalog.close()
        self.catalog = Catalog.open(self.path / manifest.catalog, None, writing=True)
        self.clean()

    def close(self):
        """Closes the catalog. A writer writes down its checksum."""
        if self.catalog.connection is None or self._process != os.getpid():
            return  # a forked child must not touch its parent's files
        if self.path is None or self._lock is None:
            self.catalog.close()
            return
        try:
            self._finish()
        finally:
            self._lock.release()

    def _finish(self):
        try:
            is_complete = self.catalog.checkpoint()
            version, address = self.catalog.state().version, self.catalog.path
        finally:
            self.catalog.close()
        # Somebody may have replaced or deleted the folder.
        is_in_place = file_of(address) == self.catalog.file
        checksum = closed_checksum(address) if is_complete and is_in_place else None
        if checksum is not None:
            manifest = self.manifest._replace(version=version, catalog_checksum=checksum)
            write_manifest(self.path, manifest)


def clean(path, catalog, manifest):
    """Deletes what a killed process has left, and what a commit has replaced.

    Args:
        path: The gallery's folder, whose writer is this process.
        catalog: Its `Catalog`.
        manifest: Its `Manifest`.
    """
    state, segments = catalog.state(), catalog.segments()
    names = {segment.name for segment in segments} | {state.embedder}
    names |= {manifest.catalog + suffix for suffix in ("", "-wal", "-shm")}
    found = os.listdir(path)
    delete_files(path / name for name in found if OURS.fullmatch(name) and name not in names)
