"""Retrieval evaluation inside `fit`."""

import time
import warnings

import keras
import numpy as np

from keras_proxygml.arguments import check_integer
from keras_proxygml.metrics import clustering_metrics, retrieval_metrics
from keras_proxygml.metrics.inputs import check_cutoffs
from keras_proxygml.models import embedder_of


class RetrievalEvaluation(keras.callbacks.Callback):
    """Evaluates the embedder at the end of an epoch and puts the metrics into `logs`.

    They are named `val_recall@1`, `val_map@r`, `val_r_precision`, `val_mrr`, `val_nmi`, `val_ami`,
    `val_f1`; `val_seconds` is what the evaluation took, and where queries have no other member of
    their class, `val_queries_without_match` counts them.

    **Place it before the callbacks that read them**: `EarlyStopping`, `ModelCheckpoint`,
    `ReduceLROnPlateau`, `CSVLogger` and `TensorBoard` see only what was in `logs` when their turn
    came (`EarlyStopping` then warns and never stops), and Keras does not tell one callback of the
    others. They need `mode="max"`, as Keras does not know these metrics.

    Args:
        data: What to evaluate on, best of classes that are not trained on: a pair of arrays
            (inputs, labels), or batches of such pairs that can be read again every epoch: a
            `tf.data.Dataset`, a `keras.utils.PyDataset`, a PyTorch `DataLoader`. Labels are
            integers `[N]` or `[N, 1]` and need not be those of training.
        embedder: Model from inputs to embeddings `[B, D]`. By default `embedder_of(model)`.
        gallery: Where neighbours are searched, in the form of `data`. By default in `data`, each
            query itself left out.
        k: The K of Recall@K. Integers of 1 or more.
        clustering: Whether to compute NMI, AMI and F1 too, by k-means on `data`.
        every: Evaluate after each `every` epochs; `logs` of the other epochs lack the metrics, as
            with `validation_freq` of `fit`. `CSVLogger` and a `ModelCheckpoint` that names them in
            its path need them after each epoch: leave `every` at 1 there.
        baseline: Whether to evaluate once before training too, into the attribute `baseline`.
        batch_size: Batch size for arrays.
        prefix: What the names in `logs` begin with. Give each of several evaluations its own, such
            as `"val_night_"`; `TensorBoard` draws those that begin with `val_` as validation.

    Attributes:
        baseline: The metrics before training, a dict, or `None`.

    Raises:
        ValueError: If `data` or `gallery` is empty, not a pair of equally long arrays, an iterator
            that can be read only once, or its batches are no (inputs, labels); further as
            `retrieval_metrics` does.

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
        k=(1, 2, 4, 8),
        clustering=True,
        every=1,
        baseline=False,
        batch_size=128,
        prefix="val_",
    ):
        super().__init__()
        check_integer("every", every, minimum=1)
        if embedder is not None and not hasattr(embedder, "predict_on_batch"):
            raise ValueError(
                f"embedder is a {type(embedder).__name__}, allowed is a keras.Model. Give data as "
                f"a pair (inputs, labels) in one argument."
            )
        check_cutoffs(k)
        self._data = _check_data("data", data)
        self._gallery = None if gallery is None else _check_data("gallery", gallery)
        self._given_embedder = self._embedder = embedder
        self._k = k
        self._clustering = clustering
        self._every = every
        self._wants_baseline = baseline
        self._batch_size = batch_size
        self._prefix = prefix
        self.baseline = None

    def on_train_begin(self, logs=None):
        # Anew for each fit, as one callback may serve several models.
        self._embedder = self._given_embedder or embedder_of(self.model)
        if self._wants_baseline:
            self.baseline = self.evaluate()

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self._every == 0:
            results = {f"{self._prefix}{name}": x for name, x in self.evaluate().items()}
            taken = sorted(results.keys() & logs.keys())
            if taken:
                warnings.warn(
                    f"`prefix` must make names that no other metric has. Received: prefix="
                    f"{self._prefix!r}, which overwrites {', '.join(taken)}. Give each evaluation "
                    f"its own, such as 'val_night_'.",
                    stacklevel=2,
                )
            logs.update(results)

    def evaluate(self):
        """Embeds the data as the model stands and returns the metrics.

        Returns:
            A dict of floats: those of `retrieval_metrics`, of `clustering_metrics`, `seconds`.

        Raises:
            ValueError: If there is no embedder yet; further as `retrieval_metrics` does.
        """
        if self._embedder is None:
            raise ValueError("evaluate() came before fit(). Call fit first, or give an embedder.")
        start = time.perf_counter()
        embeddings, labels = self._embed(self._data)
        gallery = {}
        if self._gallery is not None:
            vectors, classes = self._embed(self._gallery)
            gallery = {"gallery": vectors, "gallery_labels": classes}
        results = retrieval_metrics(embeddings, labels, k=self._k, **gallery)
        if not results["queries_without_match"]:
            del results["queries_without_match"]
        if self._clustering:
            results.update(clustering_metrics(embeddings, labels))
        results["seconds"] = time.perf_counter() - start
        return results

    def _embed(self, data):
        if isinstance(data, tuple):
            inputs, labels = data
            embeddings = self._embedder.predict(inputs, self._batch_size, verbose=0)
            return np.asarray(embeddings, "float32"), labels
        embeddings, labels = [], []
        for inputs, classes in _batches(data):
            classes = _one_axis(_as_numpy(classes))
            vectors = self._embedder.predict_on_batch(keras.tree.map_structure(_native, inputs))
            # Under tf.distribute every replica embeds the whole batch, one after another.
            embeddings.append(np.asarray(vectors[: len(classes)], "float32"))
            labels.append(classes)
        if not labels:
            raise ValueError(
                "The evaluation set gave no batch. Give at least two samples of one class, and "
                "check the dataset's filter, take and drop_remainder."
            )
        return np.concatenate(embeddings), np.concatenate(labels)


def _native(inputs):
    # A PyTorch DataLoader gives tensors that other backends do not take.
    return inputs if keras.ops.is_tensor(inputs) else np.asarray(inputs)


def _as_numpy(labels):
    is_native = keras.ops.is_tensor(labels)
    return keras.ops.convert_to_numpy(labels) if is_native else np.asarray(labels)


def _one_axis(labels):
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels


def _check_data(name, data):
    if isinstance(data, (tuple, list)):
        if len(data) != 2:
            raise ValueError(
                f"{name} is a {type(data).__name__} of {len(data)}, allowed is a pair of arrays "
                f"(inputs, labels). Give both, or a dataset of such batches."
            )
        inputs, labels = data[0], _one_axis(_as_numpy(data[1]))
        lengths = {len(array) for array in keras.tree.flatten(inputs)}
        if lengths != {len(labels)} or not len(labels):
            found = ", ".join(map(str, sorted(lengths))) or "no"
            raise ValueError(
                f"{name} has {found} inputs and {len(labels)} labels, allowed is one label an "
                f"input and at least two inputs. Give arrays of equal length."
            )
        if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(
                f"{name} has labels of shape {labels.shape} and dtype {labels.dtype}, allowed are "
                f"integers [N] or [N, 1]. Give one class number an input, not one-hot rows."
            )
        return inputs, labels
    is_endless = hasattr(data, "cardinality") and int(data.cardinality()) == -1
    is_endless |= isinstance(data, keras.utils.PyDataset) and data.num_batches is None
    if hasattr(data, "__next__") or is_endless:
        reason = "never ends" if is_endless else "can be read only once"
        raise ValueError(
            f"{name} is a {type(data).__name__} that {reason}. Give arrays, or a dataset that "
            f"starts anew every epoch (tf.data.Dataset without repeat, keras.utils.PyDataset)."
        )
    if not hasattr(data, "__iter__") and not isinstance(data, keras.utils.PyDataset):
        raise ValueError(
            f"{name} is a {type(data).__name__}, allowed are a pair of arrays (inputs, labels) or "
            f"batches of such pairs: a tf.data.Dataset, a keras.utils.PyDataset."
        )
    return data


def _batches(data):
    is_indexed = isinstance(data, keras.utils.PyDataset)
    for batch in (data[i] for i in range(data.num_batches)) if is_indexed else data:
        if not isinstance(batch, (tuple, list)) or len(batch) < 2:
            raise ValueError(
                f"A batch of type {type(batch).__name__} came, allowed are pairs (inputs, "
                f"labels). Map the dataset to such pairs."
            )
        yield batch[0], batch[1]
