"""What users of other libraries stumbled over, tried on the metrics, pictures and folders.

Each test names the issue that it tries. Where none is named, it is a question of several trackers.
"""

import multiprocessing
import threading

import numpy as np
import pytest
import small
from threadpoolctl import threadpool_info

from keras_proxygml.datasets import image_folder
from keras_proxygml.metrics import (
    approximate_retrieval_metrics,
    clustering_metrics,
    compare_results,
    confidence_intervals,
    nearest,
    neighbors,
    query_results,
    retrieval_metrics,
)
from keras_proxygml.metrics._exact import nearest as search
from keras_proxygml.visualization import plot_embeddings

DATA = INPUTS, LABELS = small.data()


# Forms of embeddings and labels.


def test_arrays_of_any_layout(tmp_path):
    """faiss #1941, #1499 (not contiguous), #461 (float64), #1552 (memory-mapped)."""
    np.save(tmp_path / "vectors.npy", INPUTS)
    read_only = INPUTS.copy()
    read_only.setflags(write=False)
    expected, clustered = retrieval_metrics(INPUTS, LABELS), clustering_metrics(INPUTS, LABELS)
    for vectors in (
        np.repeat(INPUTS, 2, axis=1)[:, ::2],
        np.asfortranarray(INPUTS),
        INPUTS.astype("float64"),
        INPUTS.astype(">f4"),
        np.load(tmp_path / "vectors.npy", mmap_mode="r"),
        read_only,
        list(INPUTS),
    ):
        assert retrieval_metrics(vectors, list(LABELS)) == expected
        assert clustering_metrics(vectors, LABELS) == clustered
        np.testing.assert_array_equal(nearest(vectors, 3)[0], nearest(INPUTS, 3)[0])


class Tensor:
    """What PyTorch's tensors do: NumPy can't read one with a gradient, on a GPU or of bfloat16."""

    def __init__(self, array, can_be_read=False, bits=32):
        self.array, self.can_be_read, self.bits = array, can_be_read, bits

    def detach(self):
        return self

    def cpu(self):
        return Tensor(self.array, self.bits == 32, self.bits)

    def is_floating_point(self):
        return self.array.dtype.kind == "f"

    def element_size(self):
        return self.bits // 8

    def float(self):
        return Tensor(self.array, self.can_be_read or self.bits == 16)

    def __array__(self, dtype=None, copy=None):
        if not self.can_be_read:
            raise TypeError("Can't call numpy() on it")
        return self.array


@pytest.mark.parametrize("bits", [32, 16])
def test_pytorch_tensors_of_any_kind(bits):
    """mteb #1297, sentence-transformers #3155 (bfloat16), torchbearer #424 (gradients)."""
    vectors = Tensor(INPUTS, bits=bits)
    found = retrieval_metrics(vectors, Tensor(LABELS))
    assert found == retrieval_metrics(INPUTS, LABELS)
    np.testing.assert_array_equal(nearest(vectors, 3, gallery=vectors)[0][:, 0], np.arange(48))
    torch = pytest.importorskip("torch")
    native = torch.tensor(INPUTS, requires_grad=True)
    if bits == 16:
        native = native.bfloat16()
    rounded = native.detach().float().numpy()
    expected = retrieval_metrics(rounded, LABELS)
    assert retrieval_metrics(native, torch.tensor(LABELS)) == expected


def test_one_number_an_embedding_and_a_gallery_of_one_item():
    """Any k above the size of the gallery: pytorch-metric-learning's k stays below."""
    gallery = {"gallery": INPUTS[:1, :1], "gallery_labels": LABELS[:1]}
    with pytest.warns(UserWarning, match="All items have the same label"):
        found = retrieval_metrics(INPUTS[:, :1], LABELS, k=(1, 10**9), **gallery)
    assert found["recall@1"] == found["recall@1000000000"] == 8 / 48  # one class of six


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x: nearest(INPUTS, x), "k"),
        (
            lambda x: approximate_retrieval_metrics(INPUTS, LABELS, index="Flat", checked=x),
            "checked",
        ),
        (lambda x: clustering_metrics(INPUTS, LABELS, restarts=x), "restarts"),
        (lambda x: confidence_intervals(query_results(INPUTS, LABELS), resamples=x), "resamples"),
    ],
)
@pytest.mark.parametrize("value", [1.5, "2", None, True, 0])
def test_numbers_that_are_no_integers_are_refused_by_name(function, name, value):
    message = rf"`{name}` must be an integer of 1 .*\. Received: {name}={value!r}\."
    with pytest.raises(ValueError, match=message):
        function(value)


def test_seeds_of_any_size():
    assert clustering_metrics(INPUTS, LABELS, seed=2**40)["nmi"] > 0.2
    with pytest.raises(ValueError, match=r"`seed` must be .* Received: seed=-1\."):
        clustering_metrics(INPUTS, LABELS, seed=-1)


# The process around the metrics.


def test_searches_that_overlap_in_threads_leave_the_blas_its_threads(monkeypatch):
    """threadpoolctl #205, #176: the limit of a search that began later was never lifted."""
    first_runs, second_runs, first_ended = (threading.Event() for _ in range(3))

    def in_turn(*_):
        if threading.current_thread().name == "first":
            first_runs.set()
            second_runs.wait(1)
        else:
            second_runs.set()
            first_ended.wait(60)

    monkeypatch.setattr(neighbors, "unit_rows", lambda vectors: vectors.astype("float32"))
    monkeypatch.setattr(search, "in_threads", in_turn)
    names = "first", "second"
    first, second = (threading.Thread(target=nearest, args=(INPUTS, 1), name=n) for n in names)

    def threads():
        return [x["num_threads"] for x in threadpool_info() if x["user_api"] == "blas"]

    before = threads()
    first.start()
    first_runs.wait(60)
    second.start()
    first.join(60)
    first_ended.set()
    second.join(60)
    assert threads() == before


@pytest.mark.filterwarnings("ignore:.*fork")
def test_metrics_in_a_forked_process():
    """faiss #5206, scikit-learn #23823: OpenMP hangs in a child whose parent has used it."""

    def measure():
        clustering_metrics(INPUTS, LABELS)
        approximate_retrieval_metrics(INPUTS, LABELS, index="Flat")

    measure()
    child = multiprocessing.get_context("fork").Process(target=measure)
    child.start()
    child.join(60)
    child.kill()
    assert child.exitcode == 0


def test_floating_point_errors_that_raise():
    """scikit-learn #9313, librosa #1484: underflow is none of a metric's errors."""
    vectors = INPUTS.astype("float64")
    vectors[:4] *= np.array([[1e-300], [0], [1e300], [1]])
    vectors[4, 0] = 1e-310
    with np.errstate(all="raise"):
        retrieval_metrics(vectors, LABELS)
        clustering_metrics(vectors, LABELS)
        nearest(vectors, 3)
        approximate_retrieval_metrics(vectors, LABELS, index="Flat")
        results = query_results(vectors, LABELS)
        confidence_intervals(results)
        compare_results(results, results)


@pytest.mark.parametrize("vectors", [np.zeros((20, 8)), np.ones((20, 8)), INPUTS[:20, :1]])
def test_pictures_of_a_collapsed_embedder(vectors):
    """scikit-learn #28368, #29127: the process crashed in t-SNE."""
    figure = plot_embeddings(vectors, LABELS[:20])
    drawn = [points.get_offsets() for points in figure.axes[0].collections]
    assert np.isfinite(np.concatenate(drawn)).all()


def test_folders_that_archives_and_shares_add(tmp_path):
    """udacity/deep-learning-v2-pytorch #217 (__MACOSX), torchvision #2831 (hidden folders)."""
    for name in (
        "a/0.jpg",
        "b/0.jpg",
        "__MACOSX/a/._0.jpg",
        "@eaDir/x/y",
        ".ipynb_checkpoints/c.jpg",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a" / ".DS_Store").touch()
    (tmp_path / "a" / "Thumbs.db").touch()
    train, test = image_folder(tmp_path)
    assert (train.class_names, test.class_names) == (("a",), ("b",))
    assert len(train) == len(test) == 1
