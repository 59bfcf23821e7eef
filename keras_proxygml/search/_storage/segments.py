"""Segments: files of vectors, which are never changed once they are written.

A segment is a plain `.npy` file of float32. Its header is always the same for the same shape, so
reading one means comparing bytes: nothing of the file is interpreted, and nothing is allocated.
"""

import itertools
import re
from typing import NamedTuple

import numpy as np

from keras_proxygml.search._storage.files import (
    check_regular,
    check_unchanged,
    refuse_damaged,
    write_file,
)

HEADER_BYTES = 128
MERGED_BYTES = 2**26  # segments up to this size are merged, larger ones stay as they are
COPIED_BYTES = 2**30  # size of the segments of a copy
NAME = re.compile(r"vectors-[0-9]{8,20}(-[0-9]{1,9})?\.npy")


class Segment(NamedTuple):
    """What the catalog says of a segment: its file's name, number of rows, and checksum."""

    name: str
    num_rows: int
    checksum: str


def header(num_rows, dims):
    """The header of a `.npy` file of float32 `[num_rows, dims]`, 128 bytes."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({num_rows}, {dims}), }}"
    text = text.ljust(HEADER_BYTES - 11) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode("ascii")


def write_segment(folder, name, shape, arrays):
    """Writes arrays as one segment, and waits until the disk has it.

    Args:
        folder: The folder, a path.
        name: The file's name.
        shape: Shape of all arrays together, `(n, D)`.
        arrays: An iterable of vectors, one array after the other. float32.

    Returns:
        The `Segment`.
    """
    vectors = (np.ascontiguousarray(array, "<f4") for array in arrays)
    checksum = write_file(folder / name, itertools.chain([header(*shape)], vectors))
    return Segment(name, shape[0], checksum)


def open_segment(folder, segment, dims):
    """Maps a segment into memory.

    Args:
        folder: The gallery's folder, a path.
        segment: The `Segment`.
        dims: Length D of a vector.

    Returns:
        The vectors, a read-only memory map. `[n, D]`, float32.

    Raises:
        ValueError: If the name is not one of a segment, or the file is missing, a link, of another
            size, or has another header.
    """
    path = _path(folder, segment)
    expected = HEADER_BYTES + segment.num_rows * dims * 4
    if (size := check_regular(path)) != expected:
        refuse_damaged(folder, f"{segment.name} has {size} bytes instead of {expected}")
    with open(path, "rb") as file:
        if file.read(HEADER_BYTES) != header(segment.num_rows, dims):
            shape = (segment.num_rows, dims)
            refuse_damaged(folder, f"{segment.name} is no .npy file of float32 {shape}")
    shape = (segment.num_rows, dims)
    return np.memmap(path, "<f4", "r", offset=HEADER_BYTES, shape=shape)


def check_segment(folder, segment):
    """Raises a `ValueError` unless a segment's file has the checksum that the catalog names."""
    check_unchanged(_path(folder, segment), segment.checksum)


def _path(folder, segment):
    if not NAME.fullmatch(segment.name):
        refuse_damaged(folder, f"the catalog names {segment.name!r} as a segment")
    return folder / segment.name


def merged(segments, num_rows, dims):
    """How many of the last segments an append merges with its own rows.

    As in a binary counter, a segment is merged once as many rows follow it. So N rows are in about
    log2(N) segments of at most 64 MiB and the larger ones, and each is written about log2(N) times.

    Args:
        segments: All `Segment`s.
        num_rows: How many rows are appended.
        dims: Length D of a vector.

    Returns:
        How many of the last segments.
    """
    count = 0
    for segment in reversed(segments):
        total = num_rows + segment.num_rows
        if segment.num_rows > num_rows or total * dims * 4 > MERGED_BYTES:
            break
        count, num_rows = count + 1, total
    return count


def copied(segments, dims):
    """Which segments a copy of the gallery writes into one: lists of positions."""
    groups, rows = [], 0
    for position, segment in enumerate(segments):
        rows += segment.num_rows
        if not groups or rows * dims * 4 > COPIED_BYTES:
            groups.append([])
            rows = segment.num_rows
        groups[-1].append(position)
    return groups
