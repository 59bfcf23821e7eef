"""The gallery: items to search, and the embedder that made their vectors."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_proxygml.checks import check_integer, check_number, refuse
from keras_proxygml.search import answers
from keras_proxygml.search._storage.storage import Storage
from keras_proxygml.search.arguments import check_unique, plain_metadata, plain_names
from keras_proxygml.search.calibration import Calibration, calibrate
from keras_proxygml.search.hits import Hits, Identified
from keras_proxygml.search.linked import LinkedEmbedder
from keras_proxygml.search.pca import with_pca
from keras_proxygml.search.searcher import Searcher

FITTED = 100_000  # items that a PCA is fitted on


class Item(NamedTuple):
    """What a gallery knows of an item.

    Attributes:
        id: Its name, a string or an integer.
        vector: Its unit vector. `[D]`, float32.
        label: Its class, a string, an integer, or None.
        metadata: A dict.
    """

    id: int | str
    vector: np.ndarray
    label: int | str | None
    metadata: dict[str, Any]


class Gallery:
    """Items to search by similarity, each with a vector, an id, a label and metadata.

    A new gallery is in memory, and `save` makes a folder of it. From then on, and after `load`,
    each `add`, `update`, `remove` and `calibrate` changes the folder in one transaction. If the
    process is killed, the folder holds the state before or after. One process at a time can change
    a folder. Others can search it meanwhile, and see the changes after `reload`.

    Searches are exact by default. Equal vectors give equal results for any batch size, and items
    that are equally similar come in the order of insertion. An `index` takes less time or memory
    and may miss neighbors: `index_recall` measures how many it finds.

    **Inputs** are arrays, or a `tf.data.Dataset` or `keras.utils.PyDataset` whose batches are
    inputs or pairs (inputs, labels). An embedder of color images also takes `datasets.ImageFiles`,
    and one or several paths of image files.

    Args:
        embedder: A built `keras.Model` from inputs to vectors `[B, D]`, such as
            `embedder_of(model)`. Vectors are compared by cosine, so they may have any length.
            Without it, the inputs are vectors `[N, D]`.
        index: `None` for exact search; `"int8"` for codes of a quarter of the memory; or a name for
            faiss's `index_factory`, such as `"HNSW32"`. It is made from the vectors before the
            first search. Codes are made again when the gallery has grown, and an index of faiss
            when it has grown by a quarter. The similarities are exact.
        index_settings: Settings of the search by a faiss index, such as `"efSearch=64"`.
        batch_size: How many inputs the embedder gets at a time.
        image_options: How to prepare image files: `shorter_side` and `upright` of
            `datasets.read_image`. They are saved with the gallery. Other preprocessing must
            be part of the embedder.

    Raises:
        ValueError: If `embedder` is not a built model, or an option is unknown.

    Example:

    >>> gallery = Gallery()
    >>> gallery.add([[1.0, 0.0], [0.0, 1.0]], labels=["east", "north"])
    [0, 1]
    >>> gallery.search([[2.0, 0.1]], k=1).labels
    array([['east']], dtype=object)
    """

    def __init__(
        self,
        embedder: keras.Model | None = None,
        *,
        index: str | None = None,
        index_settings: str = "",
        batch_size: int = 128,
        image_options: Mapping[str, Any] | None = None,
    ) -> None:
        linked = LinkedEmbedder(embedder, batch_size, image_options or {})
        self._open(Storage.create(), linked, Searcher(index, index_settings))

    def _open(self, storage, linked, searcher):
        self._storage, self._linked, self._searcher = storage, linked, searcher

    def __len__(self) -> int:
        return len(self._storage)

    def __enter__(self) -> "Gallery":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        where = f" in {self._storage.path}" if self._storage.path else ""
        return f"<Gallery of {len(self):,} items{where}>"

    @property
    def embedder(self) -> keras.Model | None:
        """The model that makes the vectors, or `None`."""
        return self._linked.embedder

    @property
    def num_labeled(self) -> int:
        """How many items have a label."""
        return int(np.count_nonzero(self._storage.is_labeled()))

    @property
    def path(self) -> Path | None:
        """The folder, or `None` in memory."""
        return self._storage.path

    @property
    def calibration(self) -> Calibration | None:
        """What `calibrate` found last, or `None`."""
        stored = self._storage.settings.get("calibration")
        return None if stored is None else Calibration.from_json(stored)

    @property
    def threshold(self) -> float | None:
        """The lowest similarity at which a query counts as known. `None` before `calibrate`."""
        calibration = self.calibration
        return None if calibration is None else calibration.threshold

    def add(
        self,
        inputs: Any,
        labels: Any = None,
        *,
        ids: Any = None,
        metadata: Any = None,
        on_error: str = "raise",
        verbose: bool | None = None,
    ) -> list:
        """Adds items, in one transaction.

        Args:
            inputs: N items, see the class.
            labels: Class of each. `[N]`, all strings or all integers; None for no label. By default
                those that come with the inputs, or none.
            ids: Name of each. `[N]`, all strings or all integers, none of which is there already.
                By default the paths of image files. Other inputs are numbered.
            metadata: One dict per item, a dict of columns `[N]`, or a data frame. Values are
                strings, numbers, booleans or None.
            on_error: What to do if an image file can't be read: "raise" an error, or "skip" it
                with a warning that names it. A skipped file takes its label, id and metadata along.
            verbose: Whether to show a progress bar. By default on a terminal.

        Returns:
            The ids of the items that were added, a list.

        Raises:
            ValueError: If an id is there already, an argument is not allowed, vectors are not
                finite or have another length, or the embedder is not that of the gallery.
        """
        self._check_embedder()
        new = self._linked.embed(inputs, on_error, verbose)
        self._check_dims(new.vectors)
        labels, metadata = self._attributes(new, labels, metadata)
        ids = self._new_ids(new, ids)
        embedder = self.embedder
        is_first = self._storage.dims is None and self._storage.embedder_path is not None
        if is_first and embedder is not None:  # it may have been trained since it was saved
            self._storage.write_embedder(embedder.save)
        self._storage.append(new.vectors, ids, labels, metadata, settings=self._linked.settings())
        return list(ids)

    def update(
        self,
        ids: Any,
        inputs: Any,
        labels: Any = None,
        *,
        metadata: Any = None,
        on_error: str = "raise",
        verbose: bool | None = None,
    ) -> None:
        """Replaces items, in one transaction.

        Args:
            ids: Items that are there. `[N]`, each once.
            inputs: The new inputs, see the class. N items.
            labels: The new labels. `[N]`. By default, the old ones stay.
            metadata: The new metadata, as in `add`. By default, the old ones stay.
            on_error, verbose: As in `add`. A file that is skipped changes nothing.

        Raises:
            ValueError: If an id is not there, or as `add` does.
        """
        self._check_embedder()
        new = self._linked.embed(inputs, on_error, verbose)
        self._check_dims(new.vectors)
        rows = self._rows_of(_chosen(plain_names("ids", ids, new.num_inputs), new.places))
        keeps_labels, keeps_metadata = labels is None, metadata is None
        labels, metadata = self._attributes(new, labels, metadata)
        self._storage.replace(
            rows,
            new.vectors,
            self._storage.labels(rows) if keeps_labels else labels,
            self._storage.metadata(rows) if keeps_metadata else metadata,
        )

    def remove(self, ids: Any) -> None:
        """Removes items, in one transaction.

        Args:
            ids: Items that are there. `[N]`, each once.

        Raises:
            ValueError: If an id is not there.
        """
        self._storage.remove(self._rows_of(ids))

    def search(
        self,
        inputs: Any,
        k: int = 10,
        *,
        where: Mapping[str, Any] | None = None,
        own_ids: Any = None,
    ) -> Hits:
        """Finds the k most similar items of each query.

        Args:
            inputs: Q queries, see the class.
            k: How many items to find.
            where: Values that the metadata of an item must have, by name. A list, an array or a
                range means any of its values. The filter comes first, so k items are found if k
                have these values.
            own_ids: For each query that is an item of the gallery, its id. That item is left out of
                the query's results. `[Q]`, None where a query is no item.

        Returns:
            `Hits`.

        Raises:
            ValueError: If the gallery is empty or has fewer than k items, no item has a field of
                `where`, an id of `own_ids` is not in the gallery, or as `add` does.
        """
        queries = self._embed_queries(inputs)
        check_integer("k", k, 1, len(self), f"The gallery has {len(self)} items.")
        own = None if own_ids is None else self._own_rows(own_ids, len(queries))
        allowed = self._allowed(where)
        found = self._searcher.search(self._storage, queries, k, allowed=allowed, own=own)
        return answers.hits(lambda: self._storage, *found)

    def identify(
        self,
        inputs: Any,
        *,
        threshold: float | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> Identified:
        """Names the class of each query, or says that it is unknown.

        The class is that of the most similar labeled item. If its similarity is below the
        threshold, the query is unknown.

        Args:
            inputs: Q queries, see the class.
            threshold: The least similarity of a known query. By default the one of `calibrate`.
            where: As in `search`.

        Returns:
            `Identified`.

        Raises:
            ValueError: If there is no threshold or no labeled item, or as `search` does.

        Warns:
            UserWarning: If the gallery has outgrown the threshold.
        """
        if threshold is None:
            threshold = answers.calibrated_threshold(self.calibration, self.num_labeled)
        check_number("threshold", threshold, "[-1, inf)", "It is a cosine.")
        queries = self._embed_queries(inputs)
        allowed = self._allowed(where)
        search = self._searcher.search
        return answers.identify(self._storage, search, queries, allowed, float(threshold))

    def calibrate(
        self,
        inputs: Any = None,
        labels: Any = None,
        *,
        false_accept_rate: float | None = None,
        precision: float | None = None,
        f1: bool = False,
        own_ids: Any = None,
        confidence: float = 0.95,
        seed: int = 0,
    ) -> Calibration:
        """Chooses the lowest similarity at which a query counts as known, and stores it.

        Each class is held out in turn and stands for the unknown. Use classes that the embedder
        was not trained on, if the gallery is to hold such classes.

        Args:
            inputs: Queries of the gallery's classes, see the class. By default the gallery's own
                items, each of which searches the others.
            labels: Class of each query. `[Q]`. By default those that come with the inputs.
            false_accept_rate: Which share of the unknown queries may be accepted. In (0, 1).
            precision: Which share of the accepted queries must be right. In (0, 1].
            f1: Whether to choose the greatest F1. Give exactly one of these three.
            own_ids: As in `search`, for queries that are items of the gallery. Without `inputs`,
                these items alone search the others, for instance those of untrained classes.
            confidence: How often the intervals should hold. In (0, 1).
            seed: Seed of the bootstrap.

        Returns:
            The `Calibration`: threshold, rates, intervals and counts.

        Raises:
            ValueError: If no item is labeled, or as `search` and `search.calibrate` do.
        """
        if inputs is None:
            own = None if own_ids is None else self._rows_of(own_ids, "own_ids")
            matches = answers.matches_of_items(self._storage, own)
        else:
            new = self._embedded_queries(inputs)
            labels, _ = self._attributes(new, labels, None)
            own = None if own_ids is None else self._own_rows(own_ids, len(new.vectors))
            matches = answers.matches_of_queries(self._storage, new.vectors, labels, own)
        found = calibrate(
            matches,
            false_accept_rate=false_accept_rate,
            precision=precision,
            f1=f1,
            confidence=confidence,
            seed=seed,
        )
        self._storage.set(calibration=found.to_json())
        return found

    def prototypes(self) -> "Gallery":
        """Makes a gallery of one vector per class: the mean of the unit vectors of its items.

        Returns:
            A `Gallery` with the same embedder. Ids and labels are the classes.

        Raises:
            ValueError: If no item is labeled, or the embedder is not that of the gallery.
        """
        self._check_embedder()
        names, vectors = answers.prototypes(self._storage)
        gallery = Gallery.__new__(Gallery)
        gallery._open(Storage.create(), self._linked, Searcher(None, ""))
        gallery._storage.append(vectors, names, names, settings=self._linked.settings())
        return gallery

    def with_pca(self, dims: int, *, whiten: bool = False, seed: int = 0) -> "Gallery":
        """Makes a gallery of shorter vectors: a PCA of the items becomes part of the embedder.

        Queries and items are treated alike, because the PCA is a layer of the new embedder. The new
        gallery has no threshold: calibrate it. `compare_results` of both embedders measures what
        the shorter vectors cost.

        Args:
            dims: How many numbers the new vectors have.
            whiten: Whether to scale the components to the same variance.
            seed: Seed of the PCA, and of the 100,000 items that it is fitted on if there are more.

        Returns:
            A `Gallery` of the same items in memory.

        Raises:
            ValueError: If there is no embedder or no item, or there are fewer items or numbers
                than `dims`.
        """
        if self.embedder is None:
            hint = "Give search.pca.with_pca the embedder and its vectors."
            refuse("gallery", "have an embedder", "a gallery of vectors", hint)
        self._check_not_empty()
        self._check_embedder()
        rows = np.random.default_rng(seed).permutation(np.flatnonzero(~self._storage.removed))
        sample = answers.vectors_of(self._storage, np.sort(rows[:FITTED]))
        embedder = with_pca(self.embedder, sample, dims, whiten=whiten, seed=seed)
        kernel, bias = embedder.get_layer("pca").get_weights()
        options = self._linked.image_options
        gallery = Gallery(
            embedder, index=self._searcher.index, index_settings=self._searcher.settings
        )
        gallery._linked = LinkedEmbedder(embedder, self._linked.batch_size, options)
        answers.copy_shortened(self._storage, gallery._storage, lambda x: x @ kernel + bias)
        gallery._storage.set(**gallery._linked.settings())
        return gallery

    def index_recall(self, k: int = 10, *, seed: int = 0) -> float:
        """Measures which share of the true k nearest items the index finds.

        Args:
            k: How many items to find.
            seed: Seed of the 256 items that search their neighbors.

        Returns:
            A float, 1.0 without an index.

        Raises:
            ValueError: If the gallery has no more than k items.
        """
        return self._searcher.recall(self._storage, k, seed)

    def items(self, batch_size: int = 4096, *, start: int = 0) -> Iterator[Item]:
        """All items in the order of insertion, for other databases and formats.

        An item that is updated moves to the end.

        Args:
            batch_size: How many to read at a time.
            start: How many to leave out at the beginning.

        Yields:
            An `Item` each: id, vector, label and metadata.
        """
        check_integer("start", start, 0)
        rows = np.flatnonzero(~self._storage.removed)[start:]
        yield from answers.items(self._storage, rows, batch_size, Item)

    def get(self, ids: Any) -> list[Item]:
        """Looks up items.

        Args:
            ids: Items that are there. `[N]`, each once.

        Returns:
            A list of N objects, each an `Item`.

        Raises:
            ValueError: If an id is not there.
        """
        rows = self._rows_of(plain_names("ids", ids, None))
        return list(answers.items(self._storage, rows, max(1, len(rows)), Item))

    def read_image(self, source: str | os.PathLike[str] | bytes) -> np.ndarray:
        """Reads an image as `add` and `search` read image files.

        Args:
            source: Path of an image file, or its contents as `bytes`, see `datasets.read_image`.

        Returns:
            What the embedder takes: RGB, 0 to 255. `[S, S, 3]`, float32.

        Raises:
            OSError: If the file cannot be opened.
            ValueError: If the embedder does not take square color images, or the image can't be
                read.
        """
        return self._linked.read_image(source)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the gallery into a folder, whole or not at all, and works in it from then on.

        Args:
            path: The folder. A gallery that is there is replaced.

        Raises:
            ValueError: If something else is there, another process changes that gallery, the
                embedder has been trained since it made the vectors, or the gallery's own folder
                has been replaced.
        """
        target = Path(path)
        embedder = self.embedder
        if embedder is not None and self._storage.embedder_path is None:
            self._check_embedder()
            self._storage.write_embedder(embedder.save)
        index = {"index": self._searcher.index, "index_settings": self._searcher.settings}
        if self._storage.settings | index != self._storage.settings:
            self._storage.set(**index)
        if self._storage.path is None or self._storage.path.resolve() != target.resolve():
            self._storage.copy_to(target)
            self._storage.close()
            self._storage = Storage.open(target)
        else:
            self._storage.check_in_place()

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        embedder: keras.Model | None = None,
        *,
        batch_size: int = 128,
    ) -> "Gallery":
        """Opens a saved gallery.

        Nothing in its files is executed. An embedder with custom layers is loaded only if their
        classes are registered with Keras.

        Args:
            path: The folder.
            embedder: The model that made the vectors. By default the saved one is loaded, when it
                is needed.
            batch_size: As in the class.

        Returns:
            A `Gallery`.

        Raises:
            FileNotFoundError: If there is no folder.
            ValueError: If the folder is no gallery, is damaged or has a newer format, or if
                `embedder` is another model.
        """
        storage = Storage.open(Path(path))
        settings = storage.settings
        source = storage.embedder_path if embedder is None else embedder
        linked = LinkedEmbedder(source, batch_size, settings.get("image_options", {}))
        searcher = Searcher(settings.get("index"), settings.get("index_settings", ""))
        gallery = cls.__new__(cls)
        gallery._open(storage, linked, searcher)
        if embedder is not None:
            gallery._check_embedder()
        return gallery

    def reload(self) -> None:
        """Shows what another process has changed in the folder since.

        If the folder holds another gallery by now, its embedder, threshold and index are used. An
        embedder that was given to `load` stays.

        Raises:
            ValueError: If the folder is no gallery, or is damaged. The gallery stays as it was, as
                it does after an error of Keras if the new embedder can't be loaded.
        """
        self._storage.reload(self._follow)

    def freeze_embedder(self) -> None:
        """Promises that the embedder is not trained any more, which saves time at each search.

        Without this, each search reads a sample of all weights to notice training, which can take
        longer than the embedder does.
        """
        self._linked.is_frozen = True

    def compact(self) -> None:
        """Frees the space of removed items."""
        self._storage.compact()

    def close(self) -> None:
        """Closes the files, so that another process can change the folder."""
        self._storage.close()

    def _follow(self, settings, embedder_path):
        """Takes the embedder and the index of another gallery that the folder holds by now."""
        self._linked.follow(settings, embedder_path)  # raises before anything changes
        index = settings.get("index"), settings.get("index_settings", "")
        if "index" in settings and index != (self._searcher.index, self._searcher.settings):
            self._searcher = Searcher(*index)

    def _check_embedder(self):
        self._linked.check(self._storage.settings)

    def _check_not_empty(self):
        if not len(self):
            refuse("gallery", "hold items", "an empty gallery", "Call add first.")

    def _check_dims(self, vectors):
        dims = self._storage.dims
        if dims is not None and vectors.shape[1] != dims:
            allowed = f"give vectors of {dims} numbers, as the gallery holds"
            received = f"{vectors.shape[1]} numbers"
            refuse("inputs", allowed, received, "Make all vectors with the same embedder.")

    def _embed_queries(self, inputs):
        return self._embedded_queries(inputs).vectors

    def _embedded_queries(self, inputs):
        self._check_not_empty()
        self._check_embedder()
        queries = self._linked.embed(inputs, "raise", verbose=False)
        self._check_dims(queries.vectors)
        return queries

    def _attributes(self, new, labels, metadata):
        """Labels and metadata of the inputs that could be read."""
        if labels is not None:
            labels = plain_names("labels", labels, new.num_inputs, missing=True)
            labels = _chosen(labels, new.places)
        elif new.labels is not None:
            labels = plain_names("labels", new.labels, len(new.vectors))
        kind = self._storage.label_type
        if labels is not None and kind is not None:
            _check_type("labels", labels, kind)
        if metadata is not None:
            metadata = _chosen(plain_metadata(metadata, new.num_inputs), new.places)
        return labels, metadata

    def _new_ids(self, new, ids):
        """The ids of new items: as given, or paths, or the next integers."""
        kind = self._storage.id_type
        if ids is None and new.paths is None:
            if kind is str:
                refuse("ids", "be given, because the gallery's ids are strings", "no ids")
            first = self._storage.next_id()
            return range(first, first + len(new.vectors))
        given = None if ids is None else plain_names("ids", ids, new.num_inputs)
        ids = new.paths if given is None else _chosen(given, new.places)
        if kind is not None:
            _check_type("ids", ids, kind)
        check_unique("ids", ids)
        rows = self._storage.rows_of(ids if len(self) else [])
        if (rows >= 0).any():
            there = np.flatnonzero(rows >= 0)
            received = f"{ids[there[0]]!r}, which is there; {len(there)} of {len(ids)} are"
            refuse("ids", "be new", received, "Use `update` to replace items.")
        return ids

    def _rows_of(self, ids, name="ids"):
        """The rows of items that must be there, each once."""
        ids = plain_names(name, ids, None)
        check_unique(name, ids)
        return self._existing_rows(name, ids)

    def _own_rows(self, own_ids, count):
        """The row of each query that is an item, and -1 for others."""
        own_ids = plain_names("own_ids", own_ids, count, missing=True)
        given = [place for place, own in enumerate(own_ids) if own is not None]
        rows = np.full(count, -1)
        rows[given] = self._existing_rows("own_ids", [own_ids[place] for place in given])
        return rows

    def _existing_rows(self, name, ids):
        rows = self._storage.rows_of(ids)
        absent = np.flatnonzero(rows < 0)
        if len(absent):
            received = f"{ids[absent[0]]!r}, which is not; {len(absent)} of {len(ids)} are not"
            refuse(name, "be in the gallery", received, "Use `add` for new items.")
        return rows

    def _allowed(self, where):
        if where is None:
            return None if len(self) == self._storage.num_rows else ~self._storage.removed
        if not isinstance(where, Mapping):
            hint = "For instance where={'shop': 'A'}."
            refuse("where", "be a dict of fields and values", f"a {type(where).__name__}", hint)
        return self._storage.rows_where(where)


def _chosen(values, places):
    if len(places) == len(values):
        return values  # nothing was skipped
    return [values[place] for place in places]


def _check_type(name, values, kind):
    if set(map(type, values)) - {kind, type(None)}:
        other = next(x for x in values if type(x) not in (kind, type(None)))
        names = {str: "strings", int: "integers"}
        allowed = f"be {names[kind]}, as in the gallery"
        refuse(name, allowed, f"{other!r}", f"Cast them with {kind.__name__}.")
