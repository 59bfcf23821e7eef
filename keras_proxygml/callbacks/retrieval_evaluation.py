"""Retrieval evaluation inside `fit`."""

import copy
import time
import warnings
from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_proxygml.callbacks.metric_names import plain_names, rename_for_mlflow
from keras_proxygml.callbacks.model_checks import (
    check_embeddings,
    check_metrics,
    warn_of_no_loss,
    warn_of_range,
)
from keras_proxygml.checks import check_cutoffs, check_integer, refuse
from keras_proxygml.labeled_data import Data, batches, check_data
from keras_proxygml.metrics import clustering_metrics, retrieval_metrics, verification_metrics
from keras_proxygml.metrics.inputs import check_itself
from keras_proxygml.models import embedder_of, proxy_layer_of


class RetrievalEvaluation(keras.callbacks.Callback):
    """Evaluates the embedder at the end of an epoch and puts the metrics into `logs`.

    They are named `val_recall@1`, `val_map@r`, `val_r_precision`, `val_mrr`, `val_nmi`, `val_ami`
    and `val_f1`. With `verification=True`, `val_tar@far=0.01`, `val_threshold@far=0.01` (also for
    0.001 and 0.0001), `val_eer` and `val_roc_auc` follow. `val_seconds` is the time that the
    evaluation took. If queries have no other member of their class,
    `val_queries_without_match` counts them.

    **Place it before the callbacks that read the metrics**: `EarlyStopping`, `ModelCheckpoint`,
    `ReduceLROnPlateau`, `CSVLogger` and `TensorBoard` see only what earlier callbacks put into
    `logs`. Without the metric, `EarlyStopping` warns and never stops. These callbacks need
    `mode="max"`, because Keras does not know the metrics.

    MLflow refuses `@` and `=` in names. Its Keras callback gets `val_recall_at_1`,
    `val_map_at_r` and `val_tar_at_far_0_01` instead, also under `mlflow.keras.autolog()`. `logs`
    does not change.

    KerasTuner copies the callback for each trial. A copy shares the data and the given embedder.

    Args:
        data: The evaluation set, preferably of classes that are not trained on. A pair of arrays
            (inputs, labels), or batches of such pairs that can be read again every epoch: a
            `tf.data.Dataset`, a `keras.utils.PyDataset`, a PyTorch `DataLoader`. Labels are
            integers, whole floats or names, `[N]` or `[N, 1]`, and need not be those of training.
            Texts may be a list of strings.
        embedder: Model from inputs to embeddings `[B, D]`. By default `embedder_of(model)`.
        gallery: The set in which neighbors are searched, in the form of `data`. By default, each
            query searches `data` without itself.
        itself: Row of each query in the gallery, -1 for none. `[N]`, integers. This item is left
            out of the query's results. Only with a `gallery`. Both sets must have the same order
            each time.
        k: The K of Recall@K. Integers of 1 or more.
        clustering: Whether to compute NMI, AMI and F1 too, by k-means on `data`.
        verification: Whether to compute the metrics of `verification_metrics` over all pairs too.
            Lower is better for `eer`. A rate that the pairs are too few to measure is NaN.
        every: Evaluate after each `every` epochs. `logs` of the other epochs lack the metrics.
            `CSVLogger`, and a `ModelCheckpoint` with a metric in its path, need `every=1`.
        baseline: Whether to evaluate once before training too, into the attribute `baseline`.
        batch_size: Batch size for arrays.
        plain_names: Whether `logs` has `val_recall_at_1`, `val_map_at_r` and
            `val_tar_at_far_0_01` instead, for tools that refuse `@`, and for the path of a
            `ModelCheckpoint`, which takes no name with a point. Monitor these names then.
        prefix: The beginning of the names in `logs`. Give each of several evaluations its own, such
            as `"val_night_"`. `TensorBoard` draws names that begin with `val_` as validation.

    Attributes:
        baseline: The metrics before training, a dict, or `None`.

    Raises:
        ValueError: If `data` or `gallery` is empty, not a pair of equally long arrays, or can be
            read only once. Also if its batches are not pairs (inputs, labels), and as
            `retrieval_metrics` does. In `fit`, if the embedder does not return embeddings, or if
            the model was compiled with one of Keras's accuracies.

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
        data: Data,
        embedder: keras.Model | None = None,
        *,
        gallery: Data | None = None,
        itself: ArrayLike | None = None,
        k: int | Sequence[int] = (1, 2, 4, 8),
        clustering: bool = True,
        verification: bool = False,
        every: int = 1,
        baseline: bool = False,
        batch_size: int = 128,
        plain_names: bool = False,
        prefix: str = "val_",
    ) -> None:
        super().__init__()
        check_integer("every", every, minimum=1)
        check_integer("batch_size", batch_size, minimum=1)
        if embedder is not None and not hasattr(embedder, "predict_on_batch"):
            hint = "Give data as a pair (inputs, labels) in one argument."
            refuse("embedder", "be a keras.Model", f"a {type(embedder).__name__}", hint)
        outputs = getattr(embedder, "outputs", None) or []
        for output in outputs:
            check_embeddings(output if len(outputs) == 1 else outputs)
        check_cutoffs(k)
        self._data = check_data("data", data)
        self._gallery = None if gallery is None else check_data("gallery", gallery)
        if gallery is None:
            check_itself(itself, None, None)
        elif isinstance(self._data, tuple) and isinstance(self._gallery, tuple):
            check_itself(itself, len(self._data[1]), len(self._gallery[1]))
        self._itself = itself
        self._warned: set[str] = set()
        self._given_embedder = self._embedder = embedder
        self._k = k
        self._clustering = clustering
        self._verification = verification
        self._every = every
        self._wants_baseline = baseline
        self._batch_size = int(batch_size)  # PyTorch takes no integers of NumPy
        self._plain_names = plain_names
        self._prefix = prefix
        self._has_seen_range = False
        self.baseline: dict[str, float] | None = None

    def __deepcopy__(self, memo):
        # A dataset can't be copied, and a copied embedder would not train with its model.
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

    def evaluate(self) -> dict[str, float]:
        """Embeds the data with the current weights and returns the metrics.

        Returns:
            A dict of the metrics of `retrieval_metrics`, `clustering_metrics` and, if wanted,
            `verification_metrics`, and `seconds`.

        Raises:
            ValueError: If there is no embedder yet. Also as `retrieval_metrics` does.
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
            if self._verification:
                results.update(verification_metrics(embeddings, labels, **gallery))
        self._warn_once(caught)
        if not results["queries_without_match"]:
            del results["queries_without_match"]
        results["seconds"] = time.perf_counter() - start
        return results

    def _warn_once(self, caught):
        """Repeats warnings of the metrics that this callback has not given before."""
        for message in {str(warning.message): warning.message for warning in caught}.values():
            if str(message) not in self._warned:
                self._warned.add(str(message))
                warnings.warn(message, stacklevel=3)

    def _find_embedder(self):
        if self._embedder is not None:
            return
        if self.model is None:
            hint = "Call fit first, or give RetrievalEvaluation an embedder."
            refuse("embedder", "be given or found in a model", "a call before fit", hint)
        if _builds_later(self.model):
            is_pair = isinstance(self._data, tuple)
            inputs, _ = self._data if is_pair else next(batches("data", self._data))
            self.model.build((None, *inputs.shape[1:]))
        self._embedder = embedder_of(self.model)

    def _embed(self, name, data):
        if isinstance(data, tuple):
            inputs, labels = data
            self._check_range(keras.tree.map_structure(lambda x: x[: self._batch_size], inputs))
            embeddings = self._embedder.predict(inputs, self._batch_size, verbose=0)
            check_embeddings(embeddings)
            return np.asarray(embeddings, "float32"), labels
        embeddings, labels = [], []
        for inputs, classes in batches(name, data):
            self._check_range(inputs)
            vectors = self._embedder.predict_on_batch(inputs)
            check_embeddings(vectors)
            # Under tf.distribute every replica embeds the whole batch, one after another.
            embeddings.append(np.asarray(vectors[: len(classes)], "float32"))
            labels.append(classes)
        if not labels:
            hint = "Check the dataset's filter, take and drop_remainder."
            refuse(name, "have batches", "none", hint)
        return np.concatenate(embeddings), np.concatenate(labels)

    def _check_range(self, inputs):
        if not self._has_seen_range:
            self._has_seen_range = True
            warn_of_range(self._embedder, inputs)


def _builds_later(model):
    return isinstance(model, keras.Sequential) and not model.built
