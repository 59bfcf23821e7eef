"""The catalog of a gallery: an SQLite database, whose transactions are those of the gallery."""

import json
import threading
from typing import NamedTuple

from keras_proxygml.search._storage.database import (
    BESIDE,
    address_of,
    check_files,
    connect,
    count_connection,
    damage_of,
    file_of,
)
from keras_proxygml.search._storage.files import delete_files, refuse_damaged
from keras_proxygml.search._storage.lookups import NEXT_ID
from keras_proxygml.search._storage.segments import Segment

APPLICATION = 0x4B50474C
TABLES = (
    "CREATE TABLE state (version INTEGER, num_rows INTEGER, num_removed INTEGER, dims INTEGER,"
    " id_type TEXT, label_type TEXT, embedder TEXT, embedder_checksum TEXT)",
    "CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT)",
    "CREATE TABLE segments (first_row INTEGER PRIMARY KEY, num_rows INTEGER, name TEXT,"
    " checksum TEXT)",
    # Consecutive integers, without labels and metadata, need no row each. A million of them would
    # take SQLite two seconds, which is five times as long as their vectors take.
    "CREATE TABLE id_ranges (first_row INTEGER PRIMARY KEY, num_rows INTEGER, first_id INTEGER)",
    # `id` and `label` have no type, so SQLite keeps integers and strings apart.
    "CREATE TABLE items (row INTEGER PRIMARY KEY, id CHECK (typeof(id) IN ('integer', 'text')),"
    " label CHECK (typeof(label) IN ('integer', 'text', 'null')), metadata TEXT)",
    "CREATE INDEX items_by_id ON items (id)",
    "CREATE TABLE fields (name TEXT PRIMARY KEY)",
    "CREATE TABLE removed (row INTEGER PRIMARY KEY)",
)


class State(NamedTuple):
    """What a gallery is at one version."""

    version: int = 0
    num_rows: int = 0
    num_removed: int = 0
    dims: int | None = None
    id_type: str | None = None
    label_type: str | None = None
    embedder: str | None = None
    embedder_checksum: str | None = None


class Catalog:
    """A connection to a catalog: the state, the segments and the settings.

    Args:
        path: The database, or `None` for one in memory.
        connection: The connection to it.

    While it is open, no other file of the disk has its `file`, whatever happens to its name.
    """

    def __init__(self, path, connection):
        self.path = path
        self.connection = connection
        self.file = None if path is None else file_of(path)
        # One connection serves all threads, one after the other.
        self.lock = threading.RLock()

    @classmethod
    def create(cls, path=None):
        """A new catalog: in memory, or a file that is not to be trusted before `finish`."""
        if path is not None:
            # A killed process may have left such a file, and its log would be mixed with ours.
            delete_files(path.with_name(path.name + suffix) for suffix in ("", *BESIDE))
        connection = connect(":memory:" if path is None else f"{path.absolute().as_uri()}?mode=rwc")
        catalog = cls(path, connection)
        if path is not None:
            # Nobody reads the file before it is complete.
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            count_connection(catalog.file, 1)
        return catalog

    def fill(self):
        """Makes the tables of an empty gallery.

        Returns:
            The catalog.
        """
        for statement in TABLES:
            self.connection.execute(statement)
        self.connection.execute(f"PRAGMA application_id = {APPLICATION}")
        marks = ", ".join("?" * len(State._fields))
        self.connection.execute(f"INSERT INTO state VALUES ({marks})", State())
        return self

    def finish(self):
        """Ends the writing of a new file: from here on, it is in WAL mode."""
        self.connection.execute("PRAGMA journal_mode = WAL").fetchall()
        self.close()

    @classmethod
    def open(cls, path, checksum, *, writing=False, thorough=True):
        """Opens the catalog of a gallery, and checks it.

        Args:
            path: The database.
            checksum: Checksum of the file, or `None` while it may change.
            writing: Whether to write to it. A catalog to read stays as it is now.
            thorough: Whether to check the structure if the checksum is not known.

        Raises:
            ValueError: If it is damaged or no catalog of a gallery.
        """
        with damage_of(path):
            check_files(path, checksum)
            catalog = cls(path, connect(address_of(path)))
            count_connection(catalog.file, 1)
            try:
                catalog._prepare(writing)
                catalog._check(thorough and checksum is None)
            except BaseException:
                catalog.close()
                raise
        return catalog

    def _prepare(self, writing):
        execute = self.connection.execute
        execute("PRAGMA trusted_schema = OFF")
        execute("PRAGMA cell_size_check = ON")
        execute("PRAGMA synchronous = FULL")
        execute(f"PRAGMA query_only = {'OFF' if writing else 'ON'}")
        if not writing:
            execute("BEGIN")

    def _check(self, thorough):
        # The first statement also fixes what a reader sees.
        statements = self.connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
        found = sorted(statement for (statement,) in statements)
        (application,) = self.connection.execute("PRAGMA application_id").fetchone()
        if application != APPLICATION or found != sorted(TABLES):
            refuse_damaged(self.path.parent, f"{self.path.name} is no catalog of a gallery")
        if thorough:
            self.check_structure()

    def check_structure(self):
        """Raises a `ValueError` if SQLite finds damage in the database."""
        (found,) = self.connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            refuse_damaged(self.path.parent, f"{self.path.name} is damaged: {found}")

    def close(self):
        """Closes the connection."""
        if self.path is not None and self.connection is not None:
            count_connection(self.file, -1)
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def checkpoint(self):
        """Moves the write-ahead log into the database.

        Returns:
            Whether the log is empty now, which it is not while a reader needs it.
        """
        self.connection.execute("PRAGMA busy_timeout = 0")
        busy, _, _ = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def state(self):
        """The `State`."""
        rows = self.connection.execute("SELECT * FROM state").fetchall()
        if len(rows) != 1:
            refuse_damaged(self.path.parent, f"{self.path.name} has {len(rows)} states")
        return State(*rows[0])

    def update_state(self, **values):
        """Changes some entries of the `State`."""
        names = ", ".join(f"{name} = :{name}" for name in values)
        self.connection.execute(f"UPDATE state SET {names}", values)

    def segments(self):
        """All `Segment`s in the order of their rows."""
        query = "SELECT name, num_rows, checksum FROM segments ORDER BY first_row"
        return [Segment(*row) for row in self.connection.execute(query)]

    def write_segments(self, segments):
        """Replaces the `Segment`s."""
        self.connection.execute("DELETE FROM segments")
        first_row = 0
        for segment in segments:
            values = (first_row, segment.num_rows, segment.name, segment.checksum)
            self.connection.execute("INSERT INTO segments VALUES (?, ?, ?, ?)", values)
            first_row += segment.num_rows

    def settings(self):
        """All settings that were set, a dict."""
        query = "SELECT name, value FROM settings WHERE name != ?"
        rows = self.connection.execute(query, (NEXT_ID,))
        return {name: json.loads(value) for name, value in rows}

    def write_settings(self, settings):
        """Sets settings, from a dict of JSON values."""
        rows = [(name, json.dumps(value)) for name, value in settings.items()]
        self.connection.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?)", rows)
