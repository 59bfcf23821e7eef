"""Retrieval evaluation inside `fit`."""

import copy
import time
import warnings

import keras
import numpy as np

from keras_proxygml.arguments import check_integer
from keras_proxygml.callbacks.evaluation_data import batches, check_data
from keras_proxygml.callbacks.metric_names import plain_names, rename_for_mlflow
from keras_proxygml.callbacks.model_checks import (
    check_embeddings,
    check_metrics,
    warn_of_no_loss,
    warn_of_range,
)
from keras_proxygml.metrics import clustering_metrics, retrieval_metrics
from keras_proxygml.metrics.inputs import check_cutoffs, check_itself
from keras_proxygml.models import embedder_of, proxy_layer_of


class RetrievalEvaluation(keras.callbacks.Callback):
    """Evaluates the embedder at the end of an epoch and puts the metrics into `logs`.

    They are named `val_recall@1`, `val_map@r`, `val_r_precision`, `val_mrr`, `val_nmi`, `val_ami`,
    `val_f1`; `val_seconds` is what the evaluation took, and where queries have no other member of
    their class, `val_queries_without_match` counts them.

    **Place it before the callbacks that read them**: `EarlyStopping`, `ModelCheckpoint`,
    `ReduceLROnPlateau`, `CSVLogger` and `TensorBoard` see only what was in `logs` when their turn
    came (`EarlyStopping` then warns and never stops), and Keras does not tell one callback of the
    others. They need `mode="max"`, as Keras does not know these metrics.

    MLflow refuses `@` in names: its Keras callback, that of `mlflow.keras.autolog()` too, gets
    `val_recall_at_1` and `val_map_at_r` instead. `logs` stays as it is.

    Args:
        data: What to evaluate on, best of classes that are not trained on: a pair of arrays
            (inputs, labels), or batches of such pairs that can be read again every epoch: a
            `tf.data.Dataset`, a `keras.utils.PyDataset`, a PyTorch `DataLoader`. Labels are
            integers, whole floats or names, `[N]` or `[N, 1]`, and need not be those of training.
            Texts may be a list of strings.
        embedder: Model from inputs to embeddings `[B, D]`. By default `embedder_of(model)`.
        gallery: Where neighbours are searched, in the form of `data`. By default in `data`, each
            query itself left out.
        itself: Row of each query in the gallery, -1 for none: this item is left out of the query's
            results. `[N]`, integers; only with a `gallery`, and both must come in the same order
            each time.
        k: The K of Recall@K. Integers of 1 or more.
        clustering: Whether to compute NMI, AMI and F1 too, by k-means on `data`.
        every: Evaluate after each `every` epochs; `logs` of the other epochs lack the metrics, as
            with `validation_freq` of `fit`. `CSVLogger` and a `ModelCheckpoint` that names them in
            its path need them after each epoch: leave `every` at 1 there.
        baseline: Whether to evaluate once before training too, into the attribute `baseline`.
        batch_size: Batch size for arrays.
        plain_names: Whether `logs` has `val_recall_at_1` and `val_map_at_r` instead, for tools
            that do not take `@`. Monitor these names then.
        prefix: What the names in `logs` begin with. Give each of several evaluations its own, such
            as `"val_night_"`; `TensorBoard` draws those that begin with `val_` as validation.

    Attributes:
        baseline: The metrics before training, a dict, or `None`.

    A copy, as KerasTuner makes one for each trial, shares the data and the given embedder.

    Raises:
        ValueError: If `data` or `gallery` is empty, not a pair of equally long arrays, an iterator
            that can be read only once, or its batches are no (inputs, labels); further as
            `retrieval_metrics` does. In `fit`, if the embedder returns anything but embeddings, or
            the model was compiled with an accuracy of Keras's, which does not take `[B, C, N]`.

    Warns:
        UserWarning: If images are from 0 to 1 and the embedder takes 0 to 255, or if the loss is 0
            after the first epoch.

    Example:

    >>> images, labels = np.zeros((4, 32, 32, 1)), np.array([0, 0, 1, 1])
    >>> callbacks = [
    ...     RetrievalEvaluation((images, labels)),
    ...     keras.callbacks.EarlyStopping(monitor="val_recall@1", mode="max", patience=3),
    ... ]
    """

    def __init__(
        self,
        data,
        embedder=None,
        *,
        gallery=None,
        itself=None,
        k=(1, 2, 4, 8),
        clustering=True,
        every=1,
        baseline=False,
        batch_size=128,
        plain_names=False,
        prefix="val_",
    ):
        super().__init__()
        check_integer("every", every, minimum=1)
        if embedder is not None and not hasattr(embedder, "predict_on_batch"):
            raise ValueError(
                f"`embedder` must be a keras.Model. Received: a {type(embedder).__name__}. Give "
                f"data as a pair (inputs, labels) in one argument."
            )
        for output in getattr(embedder, "outputs", None) or []:
            check_embeddings(output if len(embedder.outputs) == 1 else embedder.outputs)
        check_cutoffs(k)
        self._data = check_data("data", data)
        self._gallery = None if gallery is None else check_data("gallery", gallery)
        if gallery is None:
            check_itself(itself, None, None)
        elif isinstance(self._data, tuple) and isinstance(self._gallery, tuple):
            check_itself(itself, len(self._data[1]), len(self._gallery[1]))
        self._itself = itself
        self._warned = set()
        self._given_embedder = self._embedder = embedder
        self._k = k
        self._clustering = clustering
        self._every = every
        self._wants_baseline = baseline
        self._batch_size = batch_size
        self._plain_names = plain_names
        self._prefix = prefix
        self._has_seen_range = False
        self.baseline = None

    def __deepcopy__(self, memo):
        # A dataset can't be copied, and a copied embedder would not learn with its model.
        return copy.copy(self)

    def on_train_begin(self, logs=None):
        rename_for_mlflow()
        # Again for each fit, because one callback may serve several models.
        self._embedder = self._given_embedder
        self._is_first_epoch = True
        if self._given_embedder is None:
            proxy_layer_of(self.model)
            check_metrics(self.model)
        if self._wants_baseline:
            self.baseline = self.evaluate()
        elif not _builds_later(self.model):
            self._find_embedder()

    def on_epoch_end(self, epoch, logs=None):
        if self._is_first_epoch:
            warn_of_no_loss(logs)
        self._is_first_epoch = False
        if (epoch + 1) % self._every == 0:
            metrics = {f"{self._prefix}{name}": value for name, value in self.evaluate().items()}
            metrics = plain_names(metrics) if self._plain_names else metrics
            self._warn_of_names_taken(sorted(metrics.keys() & logs.keys()))
            logs.update(metrics)

    def _warn_of_names_taken(self, names):
        if names:
            warnings.warn(
                f"`prefix` must make names that no other metric has. Received: prefix="
                f"{self._prefix!r}, which overwrites {', '.join(names)}. Give each evaluation its "
                f"own, such as 'val_night_'.",
                stacklevel=3,
            )

    def evaluate(self):
        """Embeds the data as the model stands and returns the metrics.

        Returns:
            A dict of floats: those of `retrieval_metrics`, of `clustering_metrics`, `seconds`.

        Raises:
            ValueError: If there is no embedder yet; further as `retrieval_metrics` does.
        """
        self._find_embedder()
        start = time.perf_counter()
        embeddings, labels = self._embed("data", self._data)
        gallery = {}
        if self._gallery is not None:
            vectors, classes = self._embed("gallery", self._gallery)
            gallery = {"gallery": vectors, "gallery_labels": classes, "itself": self._itself}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            results = retrieval_metrics(embeddings, labels, k=self._k, **gallery)
            if self._clustering:
                results.update(clustering_metrics(embeddings, labels))
        self._warn_once(caught)
        if not results["queries_without_match"]:
            del results["queries_without_match"]
        results["seconds"] = time.perf_counter() - start
        return results

    def _warn_once(self, caught):
        """Warns of what the metrics warned of, unless this callback did so before."""
        for message in {str(warning.message): warning.message for warning in caught}.values():
            if str(message) not in self._warned:
                self._warned.add(str(message))
                warnings.warn(message, stacklevel=3)

    def _find_embedder(self):
        if self._embedder is not None:
            return
        if self.model is None:
            raise ValueError(
                "`evaluate` needs an embedder. Received: a call before fit. Call fit first, or "
                "give RetrievalEvaluation an embedder."
            )
        if _builds_later(self.model):
            inputs, _ = (
                self._data if isinstance(self._data, tuple) else next(batches("data", self._data))
            )
            self.model.build((None, *inputs.shape[1:]))
        self._embedder = embedder_of(self.model)

    def _embed(self, name, data):
        if isinstance(data, tuple):
            inputs, labels = data
            self._look_at_range(keras.tree.map_structure(lambda x: x[: self._batch_size], inputs))
            embeddings = self._embedder.predict(inputs, self._batch_size, verbose=0)
            check_embeddings(embeddings)
            return np.asarray(embeddings, "float32"), labels
        embeddings, labels = [], []
        for inputs, classes in batches(name, data):
            self._look_at_range(inputs)
            vectors = self._embedder.predict_on_batch(inputs)
            check_embeddings(vectors)
            # Under tf.distribute every replica embeds the whole batch, one after another.
            embeddings.append(np.asarray(vectors[: len(classes)], "float32"))
            labels.append(classes)
        if not labels:
            raise ValueError(
                f"`{name}` must have batches. Received: none. Give at least two samples of one "
                f"class, and check the dataset's filter, take and drop_remainder."
            )
        return np.concatenate(embeddings), np.concatenate(labels)

    def _look_at_range(self, inputs):
        if not self._has_seen_range:
            self._has_seen_range = True
            warn_of_range(self._embedder, inputs)


def _builds_later(model):
    return isinstance(model, keras.Sequential) and not model.built
