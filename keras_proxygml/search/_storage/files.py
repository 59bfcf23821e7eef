"""Files that survive a kill: written whole, checked, and locked by one writer."""

import os
import sqlite3
import stat
import time
import zlib
from pathlib import Path

from keras_proxygml.checks import refuse

BLOCK = 2**22  # bytes that are read or written at a time


def refuse_damaged(path, what):
    """Raises the error of a damaged gallery.

    Args:
        path: The gallery's folder, or a file of it.
        what: What is wrong, as words after "in which".

    Raises:
        ValueError: Always.
    """
    hint = "Restore it from a copy, or make the gallery again."
    refuse("path", "be an undamaged gallery", f"{path}, in which {what}", hint)


def check_regular(path):
    """Raises unless a file of a gallery is a regular file, so that no link leads out of the folder.

    Args:
        path: The file.

    Returns:
        Its size in bytes.

    Raises:
        ValueError: If it is missing, or a link, a folder or a device.
    """
    try:
        status = os.lstat(path)
    except OSError:
        refuse_damaged(path.parent, f"{path.name} is missing")
    if not stat.S_ISREG(status.st_mode):
        refuse_damaged(path.parent, f"{path.name} is no regular file")
    return status.st_size


def check_no_journal(path):
    """Raises a `ValueError` if a database has a rollback journal, which ours never have.

    SQLite would write the content of such a journal into the database.
    """
    journal = path.with_name(f"{path.name}-journal")
    if os.path.lexists(journal):
        refuse_damaged(path.parent, f"{journal.name} is no file of a gallery")


def write_file(path, pieces):
    """Writes a file and waits until the disk has it.

    Args:
        path: The file. It is replaced if it is there; a link is not followed.
        pieces: Its content: objects with the buffer protocol, one after the other.

    Returns:
        Its checksum, as `file_checksum` returns it.
    """
    checksum = size = 0
    path.unlink(missing_ok=True)
    with open(path, "xb") as file:
        for piece in pieces:
            view = memoryview(piece).cast("B")
            for start in range(0, len(view), BLOCK):
                file.write(view[start : start + BLOCK])
                checksum = zlib.crc32(view[start : start + BLOCK], checksum)
            size += len(view)
        file.flush()
        os.fsync(file.fileno())
    return f"{checksum:08x}-{size}"


def check_unchanged(path, checksum):
    """Raises a `ValueError` unless a regular file of a gallery has a checksum.

    The size is compared first, so a file that pretends to have terabytes is not read.
    """
    size = check_regular(path)
    if str(checksum).partition("-")[2] != str(size) or file_checksum(path) != checksum:
        refuse_damaged(path.parent, f"{path.name} has changed since it was written")


def file_checksum(path):
    """CRC-32 and size of a file as text, which find every flipped bit, at about 2 GB/s.

    SQLite's POSIX locks are lost if the process closes such a file elsewhere. So this must not be
    called for a database to which this process has a connection.
    """
    checksum, size, buffer = 0, 0, bytearray(BLOCK)
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            checksum = zlib.crc32(memoryview(buffer)[:count], checksum)
            size += count
    return f"{checksum:08x}-{size}"


def sync_file(path):
    """Waits until the disk has a file that another library wrote."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def sync_folder(path):
    """Waits until the disk has the names of a folder. Windows has no such call and needs none."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path, content):
    """Replaces a file at once: after a kill, it has its old content or all of the new one."""
    new = path.with_name(f"{path.name}.new")
    write_file(new, [content])
    for _ in range(100):
        try:
            os.replace(new, path)
            break
        except PermissionError:  # on Windows, while somebody reads the file
            time.sleep(0.01)
    else:
        os.replace(new, path)
    sync_folder(path.parent)


def delete_files(paths):
    """Deletes files. Windows keeps a file that is mapped: the next writer tries again."""
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError:
            continue


class WriterLock:
    """The lock of a gallery's one writer, which ends with its process.

    It is a lock of SQLite, because that works alike on Linux, macOS and Windows.

    Args:
        folder: The gallery's folder.

    Raises:
        ValueError: If another process, or another object of this one, holds it.
    """

    NAME = "writer.lock"

    def __init__(self, folder: Path):
        path = folder / self.NAME
        if not os.access(folder, os.W_OK):
            refuse("path", "be a folder that can be written to", str(folder))
        check_no_journal(path)
        if os.path.lexists(path):
            check_regular(path)
        self._connection = sqlite3.connect(
            path, timeout=0, isolation_level=None, check_same_thread=False
        )
        try:
            self._connection.execute("PRAGMA journal_mode = MEMORY")
            self._connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            self._connection.close()
            if "locked" not in str(error):
                refuse_damaged(folder, f"{self.NAME} cannot be locked: {error}")
            refuse(
                "path",
                "be a gallery that nothing else writes to",
                f"{folder}, which has a writer",
                "Close that gallery first. Any number of processes may read.",
            )

    def release(self):
        """Lets another writer in."""
        self._connection.close()
