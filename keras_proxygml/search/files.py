"""Keeps a gallery in step with image files: new ones are added, changed ones are replaced."""

import os
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from keras_proxygml.checks import check_integer
from keras_proxygml.datasets import ImageFiles
from keras_proxygml.datasets.decoding import why_unreadable
from keras_proxygml.search.arguments import check_unique
from keras_proxygml.search.gallery import Gallery


class Indexed(NamedTuple):
    """What `index_files` did, as ids of items.

    Attributes:
        added: Files that were new.
        updated: Files whose contents or label had changed, or that may have changed because their
            item had no size and time.
        unchanged: Files that the gallery holds as they are.
        unreadable: Files that can't be read, or whose paths are not Unicode. The gallery keeps what
            it held of them.
    """

    added: list[str]
    updated: list[str]
    unchanged: list[str]
    unreadable: list[str]


def index_files(
    gallery: Gallery,
    files: ImageFiles,
    *,
    labeled: bool = True,
    block: int = 1024,
    on_block: Callable[[int, int], object] | None = None,
) -> Indexed:
    """Adds image files to a gallery, and replaces those that have changed since.

    The id of an item is the absolute path of its file. The size and the time of the file are added
    to its metadata as `bytes` and `modified`, so files that have not changed are not read again.
    Other metadata stay. Each block is one transaction: what is interrupted goes on after the last
    whole block.

    Args:
        gallery: A `Gallery` with an embedder of color images.
        files: Which images, `ImageFiles`. Their class names become the labels.
        labeled: Whether the items get labels. False takes away the labels that they have.
        block: How many files to add in one transaction.
        on_block: A function that is called with the number of files that are done, and of all that
            are to be read: before the first block, and after each.

    Returns:
        An `Indexed`.

    Raises:
        ValueError: If a file occurs twice, or as `Gallery.add` does.

    Warns:
        UserWarning: For each file that can't be read or whose path is not Unicode, by its name.
    """
    check_integer("block", block, 1)
    given = _Files(gallery, files, labeled)
    for path in given.not_unicode:
        _warn(path, "Its path is not Unicode. Rename it.")
    new, changed = given.new_and_changed()
    steps = [(_add, new), (_update, changed)]
    parts = [(w, p[i : i + block]) for w, p in steps for i in range(0, len(p), block)]
    wrote: dict = {_add: [], _update: []}
    tried, total = 0, len(new) + len(changed)
    for write, places in parts:
        if on_block:
            on_block(tried, total)
        wrote[write] += write(gallery, *given.at(places))
        tried += len(places)
    if on_block and parts:
        on_block(tried, total)
    written, unread = {*wrote[_add], *wrote[_update]}, given.ids[[*new, *changed]]
    unreadable = given.not_unicode + [path for path in unread if path not in written]
    unchanged = np.delete(given.ids, [*new, *changed]).tolist()
    return Indexed(wrote[_add], wrote[_update], unchanged, unreadable)


class _Files:
    """Ids, labels and metadata of image files, and what the gallery holds of them."""

    def __init__(self, gallery, files, labeled):
        self.storage = gallery._storage
        paths = np.array([os.path.abspath(path) for path in files.paths], object)
        is_unicode = np.array([_is_unicode(path) for path in paths], bool)
        self.ids, self.not_unicode = paths[is_unicode], paths[~is_unicode].tolist()
        check_unique("files", self.ids.tolist())
        names = np.array(files.class_names if labeled else [None] * len(files.class_names), object)
        self.labels = names[files.labels[is_unicode]]
        self.metadata = np.array([_facts(path) for path in self.ids], object)

    def new_and_changed(self):
        """Places of the files that the gallery lacks, and of those that have changed."""
        rows = self.storage.rows_of(self.ids.tolist())
        there = np.flatnonzero(rows >= 0)
        parts = self.storage.labels(rows[there]), self.storage.metadata(rows[there])
        changed = []
        for place, label, held in zip(there, *parts, strict=True):
            self.metadata[place] = held | self.metadata[place]  # what users added stays
            if label != self.labels[place] or self.metadata[place] != held:
                changed.append(place)
        return np.flatnonzero(rows < 0), np.array(changed, int)

    def at(self, places):
        """Ids, labels and metadata of some places, lists."""
        return tuple(values[places].tolist() for values in (self.ids, self.labels, self.metadata))


def _is_unicode(path):
    """Whether a path can be an id. Linux allows any bytes in the name of a file."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _facts(path):
    """What tells that a file has changed. A file that is missing can't be read later."""
    try:
        state = os.stat(path)
    except OSError:
        return {}
    return {"bytes": state.st_size, "modified": state.st_mtime}


def _add(gallery, ids, labels, metadata):
    try:
        return gallery.add(ids, labels, metadata=metadata, on_error="skip", verbose=False)
    except ValueError:
        if not all(map(why_unreadable, ids)):
            raise
        return []  # add refuses to add nothing


def _update(gallery, ids, labels, metadata):
    reasons = [why_unreadable(path) for path in ids]
    for path, reason in zip(ids, reasons, strict=True):
        if reason:
            _warn(path, reason, stacklevel=4)
    readable = [place for place, reason in enumerate(reasons) if not reason]
    if not readable:
        return []
    chosen, labels, metadata = ([x[place] for place in readable] for x in (ids, labels, metadata))
    gallery.update(chosen, chosen, labels, metadata=metadata, verbose=False)
    return chosen


def _warn(path, reason, stacklevel=3):
    warnings.warn(f"Skipped {path}, which cannot be read. {reason}", stacklevel=stacklevel)
