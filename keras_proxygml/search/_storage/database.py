"""How the database of a gallery is opened, so that nobody else's file is trusted or harmed."""

import collections
import contextlib
import json
import os
import sqlite3
import threading

from keras_proxygml.search._storage.files import (
    check_no_journal,
    check_regular,
    check_unchanged,
    file_checksum,
    refuse_damaged,
)

NO_DAMAGE = tuple(f"SQLITE_{name}" for name in ("BUSY", "FULL", "LOCKED", "NOMEM", "READONLY"))
BESIDE = ("-wal", "-shm", "-journal")  # files that SQLite has beside a database
# How many connections this process has to each database, by `file_of` it.
_connected: collections.Counter[tuple[int, int] | None] = collections.Counter()
_connected_lock = threading.Lock()


@contextlib.contextmanager
def damage_of(path):
    """Turns what SQLite says of a damaged catalog into the error of a damaged gallery."""
    try:
        yield
    except (sqlite3.Error, json.JSONDecodeError, RecursionError) as error:
        if path is None or getattr(error, "sqlite_errorname", "").startswith(NO_DAMAGE):
            raise
        refuse_damaged(path.parent, f"{path.name} cannot be read: {error}")


def connect(address):
    return sqlite3.connect(
        address, uri=True, timeout=30, isolation_level=None, check_same_thread=False
    )


def address_of(path):
    # In a folder that cannot be written to, SQLite cannot make the files that readers share.
    is_fixed = not os.access(path.parent, os.W_OK) and not _log_size(path)
    return f"{path.absolute().as_uri()}?{'immutable=1' if is_fixed else 'mode=rw'}"


def check_files(path, checksum):
    check_regular(path)
    check_no_journal(path)
    for suffix in ("-wal", "-shm"):
        if os.path.lexists(beside := path.with_name(path.name + suffix)):
            check_regular(beside)
    if checksum is None or _connected[file_of(path)]:
        return
    if _log_size(path):
        refuse_damaged(path.parent, f"{path.name}-wal is of another catalog")
    check_unchanged(path, checksum)


def file_of(path):
    """Which file this is, or `None` if there is none. Another file with its name differs."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino


def _log_size(path):
    try:
        return os.path.getsize(path.with_name(f"{path.name}-wal"))
    except FileNotFoundError:
        return 0


def closed_checksum(path):
    """Checksum of a catalog that nobody changes, or `None` if it cannot be known.

    It cannot be known while readers keep the log, or while this process has a connection.
    """
    if _connected[file_of(path)] or _log_size(path):
        return None
    return file_checksum(path)


def count_connection(file, change):
    with _connected_lock:
        _connected[file] += change
