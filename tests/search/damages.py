"""Galleries, and ways to damage them."""

import contextlib
import json
import os
import shutil
import sqlite3
import zlib

import numpy as np

from keras_proxygml.search._storage.files import file_checksum
from keras_proxygml.search._storage.manifest import read_manifest, write_manifest
from keras_proxygml.search._storage.segments import header
from keras_proxygml.search._storage.storage import Storage


def make(path, seed=0):
    """Two segments of equal size, ids with and without rows, removed rows, an embedder."""
    rng = np.random.default_rng(seed)
    with Storage.create(path) as storage:
        storage.append(rng.standard_normal((64, 4), dtype="f4"), range(64))
        metadata = [{"shop": f"shop {i % 3}", "price": i} for i in range(32)]
        labels = [f"label {i % 5}" for i in range(32)]
        vectors = rng.standard_normal((32, 4), dtype="f4")
        storage.append(vectors, range(100, 132), labels, metadata)
        storage.remove([3, 70])
        storage.write_embedder(rng.bytes(5000), settings={"threshold": 0.5})
    return path


def content(storage):
    rows = range(storage.num_rows)
    vectors = [segment.tobytes() for segment in storage.segments]
    columns = (storage.ids(rows), storage.labels(rows), storage.metadata(rows))
    where = storage.rows_where({"shop": "shop 1"}).tolist()
    embedder = storage.embedder_path.read_bytes()
    return vectors, columns, storage.removed.tolist(), where, storage.settings, embedder


def file_of(gallery, kind):
    """The first file of a kind."""
    return min(gallery.glob(KINDS[kind]))


KINDS = {
    "manifest": "manifest.json",
    "catalog": "catalog-*.db",
    "vectors": "vectors-*.npy",
    "embedder": "embedder*.keras",
}


def seal(gallery, **changes):
    """Writes checksums that fit the files, as an attacker would."""
    manifest = read_manifest(gallery)
    checksum = file_checksum(gallery / manifest.catalog)
    write_manifest(gallery, manifest._replace(catalog_checksum=checksum, **changes))


@contextlib.contextmanager
def catalog_of(gallery):
    """A connection to the catalog, after which the gallery is sealed again."""
    connection = sqlite3.connect(gallery / read_manifest(gallery).catalog, isolation_level=None)
    yield connection
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    seal(gallery)


def execute(statement, *values):
    def damage(gallery):
        with catalog_of(gallery) as connection:
            connection.execute(statement, values)

    return damage


def rewrite_manifest(**changes):
    """Changes the manifest, with a checksum that fits."""

    def damage(gallery):
        entries = json.loads((gallery / "manifest.json").read_text()) | changes
        del entries["checksum"]
        entries = {name: value for name, value in entries.items() if value != "left out"}
        entries["checksum"] = zlib.crc32(json.dumps(entries, sort_keys=True).encode())
        (gallery / "manifest.json").write_text(json.dumps(entries))

    return damage


def replace_vectors(write):
    """Replaces the first segment by another file, with a checksum that fits."""

    def damage(gallery):
        path = file_of(gallery, "vectors")
        path.unlink()
        write(path)
        execute("UPDATE segments SET checksum = ? WHERE name = ?", file_checksum(path), path.name)(
            gallery
        )

    return damage


def save_array(array):
    def write(path):
        with open(path, "wb") as file:
            np.save(file, array, allow_pickle=True)

    return write


def save_zip(path):
    with open(path, "wb") as file:
        np.savez_compressed(file, np.zeros((10_000_000,), "f4"))


def huge_header(path):
    path.write_bytes(header(2**40, 2**20) + bytes(64 * 16))


def huge_sparse_file(gallery, kind):
    with open(file_of(gallery, kind), "rb+") as file:
        file.truncate(2**40)


def swap_segments(gallery):
    first, second = sorted(gallery.glob("vectors*"))
    second.write_bytes(first.read_bytes()[: second.stat().st_size])


def swap_embedder(gallery):
    file_of(gallery, "embedder").write_bytes(bytes(5000))


def link(kind):
    def damage(gallery):
        path = file_of(gallery, kind)
        outside = gallery.parent / path.name
        path.rename(outside)
        path.symlink_to(outside)

    return damage


def plant(name, content=b"x" * 4096):
    def damage(gallery):
        (gallery / name.format(catalog=read_manifest(gallery).catalog)).write_bytes(content)

    return damage


def plant_link(gallery):
    name = f"{read_manifest(gallery).catalog}-wal"
    (gallery / name).symlink_to(gallery.parent / "outside")


def pipe(gallery):
    path = file_of(gallery, "vectors")
    path.unlink()
    os.mkfifo(path)


def overwrite(kind, content):
    def damage(gallery):
        file_of(gallery, kind).write_bytes(content)

    return damage


def overwrite_catalog(content):
    def damage(gallery):
        file_of(gallery, "catalog").write_bytes(content)
        seal(gallery)

    return damage


def empty_database(gallery):
    path = file_of(gallery, "catalog")
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE other (x)")
    connection.close()
    seal(gallery)


def empty_folder(gallery):
    shutil.rmtree(gallery)
    gallery.mkdir()


DAMAGES = {
    "manifest missing": lambda gallery: (gallery / "manifest.json").unlink(),
    "catalog missing": lambda gallery: file_of(gallery, "catalog").unlink(),
    "vectors missing": lambda gallery: file_of(gallery, "vectors").unlink(),
    "embedder missing": lambda gallery: file_of(gallery, "embedder").unlink(),
    "empty folder": empty_folder,
    "manifest is no JSON": overwrite("manifest", b"format: gallery"),
    "manifest is a list": overwrite("manifest", b"[1, 2]"),
    "manifest is deeply nested": overwrite("manifest", b"[" * 60_000),
    "manifest is a zip": overwrite("manifest", b"PK\x03\x04" + bytes(200)),
    "manifest has no checksum": overwrite("manifest", b'{"format": "keras_proxygml gallery"}'),
    "manifest pretends to be huge": lambda gallery: huge_sparse_file(gallery, "manifest"),
    "other format": rewrite_manifest(format="tensorflow_similarity"),
    "newer format": rewrite_manifest(format_version=2),
    "format as text": rewrite_manifest(format_version="1"),
    "no catalog": rewrite_manifest(catalog="left out"),
    "catalog is a number": rewrite_manifest(catalog=7),
    "catalog elsewhere": rewrite_manifest(catalog="../catalog-00000000.db"),
    "catalog with a query": rewrite_manifest(catalog="catalog-00000000.db?vfs=unix"),
    "version is text": rewrite_manifest(version="1"),
    "version is lost": rewrite_manifest(version=1000),
    "catalog is text": overwrite_catalog(b"no database, but long enough" * 500),
    "catalog is empty": overwrite_catalog(b""),
    "catalog of others": empty_database,
    "catalog pretends to be huge": lambda gallery: huge_sparse_file(gallery, "catalog"),
    "other application": execute("PRAGMA application_id = 1"),
    "a view": execute("CREATE VIEW v AS SELECT * FROM items"),
    "a trigger": execute(
        "CREATE TRIGGER t AFTER INSERT ON items BEGIN DELETE FROM items WHERE row < 100; END"
    ),
    "a table more": execute("CREATE TABLE more (x)"),
    "an index less": execute("DROP INDEX items_by_id"),
    "no state": execute("DELETE FROM state"),
    "two states": execute("INSERT INTO state SELECT * FROM state"),
    "rows are text": execute("UPDATE state SET num_rows = 'many'"),
    "fewer rows": execute("UPDATE state SET num_rows = 95"),
    "no dims": execute("UPDATE state SET dims = NULL"),
    "huge dims": execute("UPDATE state SET dims = ?", 2**50),
    "huge segment": execute("UPDATE segments SET num_rows = ?", 2**60),
    "huge gallery": execute("UPDATE state SET num_rows = ?", 2**62),
    "negative segment": execute("UPDATE segments SET num_rows = -64 WHERE first_row = 0"),
    "segment missing": execute("DELETE FROM segments WHERE first_row = 0"),
    "segment without name": execute("UPDATE segments SET name = NULL"),
    "segment elsewhere": execute("UPDATE segments SET name = '../vectors-00000001.npy'"),
    "segment anywhere": execute("UPDATE segments SET name = '/etc/passwd'"),
    "segment is the catalog": execute("UPDATE segments SET name = 'catalog-00000000.db'"),
    "embedder elsewhere": execute("UPDATE state SET embedder = '../embedder.keras'"),
    "embedder is a number": execute("UPDATE state SET embedder = 7"),
    "more removed": execute("INSERT INTO removed VALUES (5)"),
    "removed outside": execute("UPDATE removed SET row = 1000 WHERE row = 3"),
    "items missing": execute("DELETE FROM items WHERE row = 70"),
    "items outside": execute("UPDATE items SET row = 1000 WHERE row = 70"),
    "ids twice": execute("UPDATE id_ranges SET num_rows = 80"),
    "ids outside": execute("UPDATE id_ranges SET first_row = -5"),
    "vectors of float64": replace_vectors(save_array(np.zeros((64, 2)))),
    "vectors in columns": replace_vectors(save_array(np.zeros((64, 4), "f4", order="F"))),
    "vectors of big-endian floats": replace_vectors(save_array(np.zeros((64, 4), ">f4"))),
    "vectors of objects": replace_vectors(save_array(np.full((64, 4), None))),
    "vectors are a bomb": replace_vectors(save_zip),
    "vectors with a huge header": replace_vectors(huge_header),
    "vectors pretend to be huge": lambda gallery: huge_sparse_file(gallery, "vectors"),
    "embedder pretends to be huge": lambda gallery: huge_sparse_file(gallery, "embedder"),
    "segments swapped": swap_segments,
    "embedder swapped": swap_embedder,
    "a foreign log": plant("{catalog}-wal"),
    "a linked log": plant_link,
    "a foreign journal": plant("{catalog}-journal"),
    "vectors are a pipe": pipe,
    **{f"{kind} is a link": link(kind) for kind in KINDS},
}

# What only an attacker could write, because the checksums fit. It is found when it is read.
CRAFTED = {
    "metadata is no JSON": execute("UPDATE items SET metadata = '{shop' WHERE row = 71"),
    "metadata is deeply nested": execute("UPDATE items SET metadata = ?", "[" * 100_000),
    "metadata is a list": execute("UPDATE items SET metadata = '[1]' WHERE row = 71"),
    "text is no UTF-8": execute("UPDATE items SET label = CAST(x'ff' AS TEXT) WHERE row = 71"),
    "setting is no JSON": execute("UPDATE settings SET value = 'half'"),
}
