"""A gallery as the server uses it: searched by one thread, looked up by others, reloaded."""

import itertools
import json
import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_proxygml.checks import refuse
from keras_proxygml.search import Gallery
from keras_proxygml.search.embedding import takes_images
from keras_proxygml.search.gallery import Item

SIZES = (8, 4, 2, 1)  # of batches, so that the embedder is compiled for no others
LISTED = 16  # items among which the most similar labeled one is usually found
EVERY = 1.0  # seconds between two looks at the folder

_EMPTY: dict[str, Any] = {
    "known": None,
    "label": None,
    "nearest_label": None,
    "similarity": None,
    "hits": [],
    "warning": "The gallery is empty. Add items first.",
}

log = logging.getLogger(__name__)


class Query(NamedTuple):
    """What a request searches.

    Attributes:
        image: What the embedder takes, `[S, S, 3]`.
        k: How many items to find.
        where: As in `Gallery.search`.
        embedder: Which embedder the image was prepared for: a number that rises.
    """

    image: np.ndarray
    k: int
    where: Mapping[str, Any] | None
    embedder: int


class OtherEmbedderError(Exception):
    """The gallery has another embedder since the image was prepared. Prepare it again."""


class Searching:
    """A gallery that is searched, and that other processes may replace.

    Only the worker's thread searches and changes the gallery. Others look up items, and are kept
    out by a lock while it changes.

    Args:
        gallery: A `Gallery` with an embedder of square color images.

    Raises:
        ValueError: If it has no such embedder.
    """

    def __init__(self, gallery: Gallery) -> None:
        _check_takes_images(gallery.embedder)
        gallery.freeze_embedder()
        self.gallery = gallery
        self.embedder = 0
        self.problem: str | None = None
        self._lock = threading.Lock()
        self._seen, self._looked = self._signature(), time.monotonic()

    def warm_up(self) -> None:
        """Runs the embedder once for each size of a batch, so that no query waits for that."""
        image = np.zeros(self._image_shape(), "float32")
        embedder: Any = self.gallery.embedder
        for size in SIZES:
            embedder.predict_on_batch(np.stack([image] * size))

    def prepare(self, contents: bytes) -> tuple[np.ndarray, int]:
        """Reads an image for `Query`: `[S, S, 3]`, and the number of the embedder."""
        with self._lock:  # another embedder may be on its way
            number = self.embedder
        return self.gallery.read_image(contents), number

    def search(self, queries: list[Query]) -> list[dict[str, Any] | Exception]:
        """Answers queries, those of equal `where` together.

        Args:
            queries: `Query`s.

        Returns:
            For each, what `_answer` returns, or the exception that it raised.
        """
        answers: list[Any] = [None] * len(queries)
        groups: dict[str, list[int]] = {}
        for place, query in enumerate(queries):
            if query.embedder != self.embedder:
                answers[place] = OtherEmbedderError()
            else:
                groups.setdefault(json.dumps(query.where, sort_keys=True), []).append(place)
        for places in groups.values():
            for some in _split(places):
                found = self._search([queries[place] for place in some])
                for place, answer in zip(some, found, strict=True):
                    answers[place] = answer
        return answers

    def item(self, name: str) -> Item | None:
        """The item of an id, which is written as text; None if there is none."""
        kinds = [str, int] if name.removeprefix("-").isdecimal() else [str]
        with self._lock:
            for kind in kinds:
                try:
                    return self.gallery.get([kind(name)])[0]
                except ValueError:  # also of int, which refuses thousands of digits
                    continue
        return None

    def items(self, offset: int, limit: int) -> tuple[list[Item], int]:
        """Some items in the order of insertion, and how many there are."""
        with self._lock:
            found = self.gallery.items(max(1, limit), start=offset)
            return list(itertools.islice(found, limit)), len(self.gallery)

    def change(self, action):
        """Does something that changes the gallery. Only the worker's thread may call it."""
        with self._lock:
            return action(self.gallery)

    def describe(self) -> dict[str, Any]:
        """The state of the gallery: how many items, the threshold, and what is wrong."""
        with self._lock:
            calibration, count = self.gallery.calibration, len(self.gallery)
            num_labeled = 0 if calibration is None else self.gallery.num_labeled
        warning = self.problem
        if calibration is not None and count:
            warning = warning or calibration.outgrown_by(num_labeled)
        threshold = None if calibration is None else calibration.threshold
        return {"num_items": count, "threshold": threshold, "warning": warning}

    def refresh(self) -> None:
        """Looks whether another process has changed the folder. The worker's thread calls it."""
        if self.gallery.path is None or time.monotonic() - self._looked < EVERY:
            return
        self._looked = time.monotonic()
        signature = self._signature()
        if signature == self._seen:
            return
        try:
            self._reload()
        except Exception as error:
            # The gallery as it was still answers if the new one or its embedder can't be read. The
            # next look tries again.
            problem = f"The gallery has changed, but can't be read. {error}"
            if problem != self.problem:
                log.warning(problem)
            self.problem = problem
        else:
            self._seen, self.problem = signature, None

    def _reload(self):
        before = self.gallery.embedder
        with self._lock:
            self.gallery.reload()
            is_other = self.gallery.embedder is not before
            self.embedder += is_other
        _check_takes_images(self.gallery.embedder)
        if is_other:
            self.warm_up()

    def _signature(self):
        """What tells that the manifest, which every change replaces, is another."""
        if self.gallery.path is None:
            return None
        try:
            status = (Path(self.gallery.path) / "manifest.json").stat()
        except OSError:
            return "none"
        return status.st_mtime_ns, status.st_ino, status.st_size

    def _image_shape(self):
        size = self.gallery.embedder.input_shape[1]
        return (224 if size is None else size,) * 2 + (3,)

    def _search(self, queries):
        """What each of some queries of equal `where` gives, or the exception that all raise."""
        try:
            state = self.describe()
            if not state["num_items"]:
                return [_EMPTY | {"threshold": state["threshold"]}] * len(queries)
            images = np.stack([query.image for query in queries])
            k = min(max(LISTED, *(query.k for query in queries)), state["num_items"])
            hits = self.gallery.search(images, k, where=queries[0].where)
            metadata = hits.metadata()
            return [
                self._answer(query, hits, place, metadata[place], state)
                for place, query in enumerate(queries)
            ]
        except Exception as error:
            return [error] * len(queries)

    def _answer(self, query, hits, place, metadata, state):
        """The hits of one query, the nearest label, and whether it is known."""
        found = [
            {"id": id_, "label": label, "similarity": float(similarity), "metadata": values}
            for id_, label, similarity, values in zip(
                hits.ids[place], hits.labels[place], hits.similarities[place], metadata, strict=True
            )
            if id_ is not None
        ]
        named = next((hit for hit in found if hit["label"] is not None), None)
        if named is None and len(found) == hits.ids.shape[1] < state["num_items"]:
            named = self._nearest_named(query)  # farther down, if there is one
        threshold = state["threshold"]
        known = None
        if named is not None and threshold is not None:
            known = named["similarity"] >= threshold
        return {
            "known": known,
            "label": named["label"] if known else None,
            "nearest_label": named and named["label"],
            "similarity": named and named["similarity"],
            "threshold": threshold,
            "hits": found[: query.k],
            "warning": state["warning"],
        }

    def _nearest_named(self, query):
        try:
            found = self.gallery.identify(query.image[None], threshold=1.0, where=query.where)
        except ValueError:  # no item has a label
            return None
        return {"label": found.nearest_labels[0], "similarity": float(found.similarities[0])}


def _check_takes_images(embedder):
    shape = getattr(embedder, "input_shape", (None,) * 4)
    if not takes_images(embedder) or shape[1] != shape[2]:
        has = "no embedder" if embedder is None else f"an embedder of inputs {shape}"
        hint = "Make the gallery with Gallery(embedder), of images [B, S, S, 3]."
        refuse("gallery", "have an embedder of square color images to be served", has, hint)


def _split(places):
    """Parts of a list, each as long as one of `SIZES`."""
    first = 0
    while first < len(places):
        size = next(size for size in SIZES if size <= len(places) - first)
        yield places[first : first + size]
        first += size
