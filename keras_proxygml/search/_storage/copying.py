"""Copies of a gallery: what `save` and `compact` write, which becomes valid at one moment."""

import contextlib
import glob
import os
import secrets
import shutil

from keras_proxygml.checks import refuse
from keras_proxygml.search._storage.catalog import Catalog
from keras_proxygml.search._storage.database import closed_checksum
from keras_proxygml.search._storage.files import (
    BLOCK,
    WriterLock,
    check_unchanged,
    file_checksum,
    sync_file,
    sync_folder,
    write_file,
)
from keras_proxygml.search._storage.home import clean
from keras_proxygml.search._storage.manifest import NAME as MANIFEST
from keras_proxygml.search._storage.manifest import Manifest, read_manifest, write_manifest
from keras_proxygml.search._storage.segments import copied, write_segment


def copy_to_new(path, write):
    """Makes a new gallery: in a folder beside it, which then gets its name.

    Args:
        path: The new folder.
        write: A function of a folder, which writes a gallery and returns its `Manifest`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _delete_abandoned(path)
    new = path.with_name(f".{path.name}.saving-{secrets.token_hex(8)}")
    new.mkdir()
    lock = WriterLock(new)
    try:
        write_manifest(new, write(new))
        if os.name == "nt":  # which renames no folder with an open file
            lock.release()
        if path.is_dir():
            path.rmdir()
        os.rename(new, path)
        sync_folder(path.parent)
    finally:
        lock.release()
        shutil.rmtree(new, ignore_errors=True)


def _delete_abandoned(path):
    pattern = f".{glob.escape(path.name)}.saving-*"
    for folder in path.parent.glob(pattern):
        if folder.is_dir() and not folder.is_symlink():
            with contextlib.suppress(ValueError):  # somebody is writing to it
                lock = WriterLock(folder)
                shutil.rmtree(folder, ignore_errors=True)
                lock.release()


def copy_over(path, version, write):
    """Replaces a gallery by another one: in its folder, whose manifest is then replaced.

    Args:
        path: The folder of a gallery.
        version: The least version that the copy may have.
        write: A function of a folder and a version, which writes a gallery.
    """
    lock = WriterLock(path)
    try:
        # The catalog may be one version ahead of the manifest.
        manifest = write(path, max(version, read_manifest(path).version + 2))
        sync_folder(path)
        write_manifest(path, manifest)
        catalog = Catalog.open(path / manifest.catalog, None, thorough=False)
        try:
            clean(path, catalog, manifest)
        finally:
            catalog.close()
    finally:
        lock.release()


def check_target(path):
    """Raises unless a gallery may be saved here.

    Returns:
        Whether there is a gallery already.
    """
    if os.path.lexists(path / MANIFEST):
        return True
    if os.path.lexists(path) and not (path.is_dir() and not any(path.iterdir())):
        hint = "Choose another path, or delete what is there."
        refuse("path", "be a new path or a gallery", f"{path}, which is something else", hint)
    return False


def write_gallery(folder, catalog, contents, version, embedder):
    """Writes a copy of a gallery into a folder, with the same rows.

    Args:
        folder: The folder.
        catalog: The `Catalog` to copy.
        contents: Its `Contents`.
        version: Version of the copy.
        embedder: A function of a path, which writes the embedder's file, or `None`.

    Returns:
        The `Manifest`, which is not yet written.
    """
    segments = []
    for i, group in enumerate(copied(contents.segments, contents.state.dims)):
        arrays = [contents.arrays[position] for position in group]
        shape = (sum(map(len, arrays)), contents.state.dims)
        segments.append(write_segment(folder, f"vectors-{version:08d}-{i}.npy", shape, arrays))
    new = Catalog.create(folder / f"catalog-{version:08d}.db")
    try:
        catalog.connection.backup(new.connection)
        new.write_segments(segments)
        new.update_state(version=version, **_copied_embedder(folder, version, embedder))
    finally:
        new.finish()
    return finished(folder, new, version)


def _copied_embedder(folder, version, write):
    if write is None:
        return {"embedder": None, "embedder_checksum": None}
    is_new = not os.path.lexists(folder / MANIFEST)
    name = "embedder.keras" if is_new else f"embedder-{version:08d}.keras"
    return {"embedder": name, "embedder_checksum": write_embedder(folder / name, write)}


def finished(folder, catalog, version):
    """The `Manifest` of a catalog that is complete, once the disk has it."""
    sync_file(catalog.path)
    sync_folder(folder)
    return Manifest(catalog.path.name, version, closed_checksum(catalog.path))


def write_embedder(path, write):
    """Writes the embedder's file with a function of its path, and returns the file's checksum."""
    path.unlink(missing_ok=True)  # a link would lead out of the folder
    write(path)
    sync_file(path)
    sync_folder(path.parent)
    return file_checksum(path)


def embedder_writer(source):
    """A function that writes the embedder, from its bytes or a function of a path."""
    return source if callable(source) else lambda path: write_file(path, [source])


def copier(path, checksum):
    """A function that copies a file, and raises a `ValueError` if it has changed."""

    def write(new):
        check_unchanged(path, checksum)
        with open(path, "rb") as file:
            write_file(new, iter(lambda: file.read(BLOCK), b""))

    return write
