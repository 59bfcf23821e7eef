"""RetrievalEvaluation inside fit, next to the callbacks that read it."""

import csv

import keras
import numpy as np
import pytest
import small

from keras_proxygml import (
    RetrievalEvaluation,
    clustering_metrics,
    embedder_of,
    retrieval_metrics,
)
from keras_proxygml.metrics import query_results, verification_metrics

TEST = small.data(60, seed=1)
QUICK = {"epochs": 2, "batch_size": 16, "verbose": 0}


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        rows = slice(index * 17, index * 17 + 17)
        return TEST[0][rows], TEST[1][rows, None]


class WithoutLength(keras.utils.PyDataset):
    num_batches = 4
    __getitem__ = Batches.__getitem__


def logs_of(callback, **arguments):
    model = small.model()
    history = model.fit(*small.data(), callbacks=[callback], **{**QUICK, **arguments})
    return model, history.history


def test_logs_are_the_metrics_of_the_embedder_as_it_stands():
    model, history = logs_of(RetrievalEvaluation(TEST, k=(1, 5)))
    embeddings = embedder_of(model).predict(TEST[0], verbose=0)
    expected = retrieval_metrics(embeddings, TEST[1], k=(1, 5))
    assert expected.pop("queries_without_match") == 0
    expected |= clustering_metrics(embeddings, TEST[1])
    logged = {name[4:]: values[-1] for name, values in history.items() if name[:4] == "val_"}
    assert logged.pop("seconds") > 0
    assert logged == pytest.approx(expected, abs=1e-6)
    assert all(len(values) == 2 for values in history.values())


def test_verification_puts_its_metrics_into_the_logs():
    callback = RetrievalEvaluation(TEST, clustering=False, verification=True)
    model, history = logs_of(callback, epochs=1)
    embeddings = embedder_of(model).predict(TEST[0], verbose=0)
    expected = verification_metrics(embeddings, TEST[1])
    assert {"tar@far=0.01", "threshold@far=0.01", "eer", "roc_auc"} < set(expected)
    logged = {name: history[f"val_{name}"][0] for name in expected}
    assert logged == pytest.approx(expected, abs=1e-6, nan_ok=True)
    gallery = small.data(30, seed=2)
    inputs = keras.Input((8,))
    fixed = keras.Model(inputs, inputs)
    found = RetrievalEvaluation(TEST, fixed, gallery=gallery, verification=True).evaluate()
    options = {"gallery": gallery[0], "gallery_labels": gallery[1]}
    assert found["eer"] == verification_metrics(*TEST, **options)["eer"]


def test_batches_give_what_arrays_give():
    embedder = embedder_of(small.model())
    expected = RetrievalEvaluation(TEST, embedder).evaluate()
    pairs = zip(np.split(TEST[0], 4), np.split(TEST[1], 4), strict=True)
    forms = [Batches(), WithoutLength(), IterableOnly(list(pairs))]
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        forms.append(tf.data.Dataset.from_tensor_slices(TEST).batch(17))
        forms.append(forms[-1].shuffle(10))  # inputs and labels stay together
    for form in forms:
        evaluation = RetrievalEvaluation(form, embedder)
        for metrics in (evaluation.evaluate(), evaluation.evaluate()):
            for name in ("recall@1", "map@r"):
                assert metrics[name] == pytest.approx(expected[name], abs=1e-6)


class IterableOnly:
    """As a PyTorch DataLoader is: no length, no index."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)


def test_a_separate_gallery():
    gallery = small.data(30, seed=2)
    model, history = logs_of(RetrievalEvaluation(TEST, gallery=gallery, clustering=False))
    embed = embedder_of(model).predict
    expected = retrieval_metrics(
        embed(TEST[0], verbose=0),
        TEST[1],
        gallery=embed(gallery[0], verbose=0),
        gallery_labels=gallery[1],
    )
    assert history["val_recall@1"][-1] == pytest.approx(expected["recall@1"])
    assert "val_nmi" not in history


def test_a_gallery_that_holds_the_queries():
    # Every other item is a query. Each finds all the others, but not itself.
    queries = TEST[0][::2], TEST[1][::2]
    rows = np.arange(0, 60, 2)
    inputs = keras.Input((8,))
    fixed = keras.Model(inputs, inputs)
    found = RetrievalEvaluation(queries, fixed, gallery=TEST, itself=rows).evaluate()
    each = query_results(*TEST).scores()["recall@1"][::2]
    assert found["recall@1"] == pytest.approx(each.mean())
    with pytest.warns(UserWarning, match="The first result of every query .* in `itself`"):
        assert RetrievalEvaluation(queries, fixed, gallery=TEST).evaluate()["recall@1"] == 1


def test_a_warning_of_the_metrics_comes_once():
    evaluation = RetrievalEvaluation((TEST[0], TEST[1] * 0))
    with pytest.warns(UserWarning, match="All items have the same label") as caught:
        _, history = logs_of(evaluation, epochs=3)
    assert history["val_recall@1"] == [1, 1, 1]
    # On PyTorch Keras itself warns of its tensors.
    assert sum("All items" in str(warning.message) for warning in caught) == 1


def test_another_embedder():
    inputs = keras.Input((8,))
    fixed = keras.Model(inputs, inputs)
    _, history = logs_of(RetrievalEvaluation(TEST, fixed))
    expected = retrieval_metrics(*TEST)["recall@1"]
    assert history["val_recall@1"] == pytest.approx([expected, expected])


def test_queries_without_match_are_counted():
    inputs, labels = TEST
    labels = np.r_[labels[:-1], 77]
    _, history = logs_of(RetrievalEvaluation((inputs, labels)))
    assert history["val_queries_without_match"] == [1, 1]


def test_every_few_epochs_and_before_training():
    evaluation = RetrievalEvaluation(TEST, every=2, baseline=True, batch_size=np.int64(16))
    model = small.model()
    embeddings = embedder_of(model).predict(TEST[0], verbose=0)
    history = model.fit(*small.data(), callbacks=[evaluation], **{**QUICK, "epochs": 5}).history
    assert len(history["loss"]) == 5
    assert len(history["val_recall@1"]) == 2
    expected = retrieval_metrics(embeddings, TEST[1])["recall@1"]
    assert evaluation.baseline["recall@1"] == pytest.approx(expected)


def test_callbacks_that_follow_read_the_metrics(tmp_path, capsys):
    keras.utils.set_random_seed(0)
    callbacks = [
        RetrievalEvaluation(TEST),
        keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}-{val_recall@1:.3f}.keras"),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        # Recall@1 cannot rise by 2: it stops after the second epoch.
        keras.callbacks.EarlyStopping("val_recall@1", mode="max", patience=1, min_delta=2),
    ]
    if keras.backend.backend() == "tensorflow":
        callbacks.append(keras.callbacks.TensorBoard(tmp_path / "tensorboard"))
    model = small.model()
    history = model.fit(
        *small.data(), callbacks=callbacks, epochs=9, batch_size=16, verbose=2
    ).history
    recalls = history["val_recall@1"]
    assert len(recalls) == 2
    with open(tmp_path / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val_recall@1"]) for row in rows] == pytest.approx(recalls)
    names = {f"{i + 1}-{recall:.3f}.keras" for i, recall in enumerate(recalls)}
    assert {path.name for path in tmp_path.glob("*.keras")} == names
    assert f"val_recall@1: {recalls[0]:.4f}" in capsys.readouterr().out
    if keras.backend.backend() == "tensorflow":
        events = b"".join(p.read_bytes() for p in tmp_path.glob("tensorboard/validation/*"))
        assert b"epoch_recall@1" in events


def test_a_callback_that_stands_before_cannot_stop():
    """What the docstring warns of."""
    stopping = keras.callbacks.EarlyStopping("val_recall@1", mode="max", patience=0)
    callbacks = [stopping, RetrievalEvaluation(TEST)]
    with pytest.warns(UserWarning, match=r"`val_recall@1` which is not available"):
        history = small.model().fit(*small.data(), callbacks=callbacks, **QUICK).history
    assert len(history["loss"]) == 2


@pytest.mark.tensorflow
@pytest.mark.parametrize("as_dataset", [False, True])
@pytest.mark.parametrize("own_embedder", [False, True])
@pytest.mark.slow
def test_under_mirrored_strategy(as_dataset, own_embedder):
    import tensorflow as tf

    with small.mirrored(2).scope():
        model = small.model()
        # Built in the scope, it embeds on every replica; by default it is built outside.
        embedder = embedder_of(model) if own_embedder else None
    test = tf.data.Dataset.from_tensor_slices(TEST).batch(17) if as_dataset else TEST
    evaluation = RetrievalEvaluation(test, embedder)
    history = model.fit(*small.data(), callbacks=[evaluation], **QUICK).history
    embeddings = np.array(embedder_of(model)(TEST[0]))
    expected = retrieval_metrics(embeddings, TEST[1])["recall@1"]
    assert history["val_recall@1"][-1] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            (np.zeros((0, 8)), np.zeros(0, int)),
            r"at least two inputs. Received: 0 inputs and 0 labels",
        ),
        ((TEST[0], TEST[1][:5]), r"one label per input.* Received: 60 inputs and 5 labels"),
        ((TEST[0],), r"must be a pair .* Received: a tuple of 1"),
        (iter([TEST]), r"can be read only once"),
        (({}, TEST[1]), r"no inputs and 60 labels"),
        (
            (TEST[0], TEST[1] + 0.5),
            r"whole numbers or names. Received: shape \(60,\), dtype float64",
        ),
        ((TEST[0], np.eye(6, dtype=int)[TEST[1]]), r"Received: shape \(60, 6\), .*one-hot"),
    ],
)
def test_bad_data_is_refused_at_once(data, message):
    with pytest.raises(ValueError, match=message):
        RetrievalEvaluation(data)
    with pytest.raises(ValueError, match=message):
        RetrievalEvaluation(TEST, gallery=data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (IterableOnly([]), r"must have batches. Received: none"),
        (IterableOnly([TEST[0]]), r"pairs .* Received: a batch of type ndarray"),
        ((TEST[0], np.arange(60)), r"None of the 60 classes has two members"),
        ((TEST[0] * np.nan, TEST[1]), r"60 of 60 rows with NaN"),
    ],
)
def test_bad_data_that_shows_later(data, message):
    with pytest.raises(ValueError, match=message):
        logs_of(RetrievalEvaluation(data))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"every": 0}, r"`every` must be an integer of 1 or more\. Received: every=0"),
        ({"itself": [0, 1]}, r"`itself` must be None where there is no gallery"),
        ({"gallery": TEST, "itself": [0]}, r"`itself` must be integers of shape \(60,\)"),
        ({"every": True}, r"Received: every=True"),
        ({"batch_size": 8.0}, r"`batch_size` must be an integer of 1 or more\. Received"),
        ({"k": 0}, r"k=0"),
        ({"embedder": TEST[1]}, r"must be a keras.Model. Received: a ndarray"),
        ({"gallery": 5}, r"`gallery` must be a pair .* Received: a int"),
    ],
)
def test_bad_arguments_are_refused_at_once(arguments, message):
    with pytest.raises(ValueError, match=message):
        RetrievalEvaluation(TEST, **arguments)


def test_evaluate_needs_an_embedder():
    with pytest.raises(ValueError, match=r"Received: a call before fit"):
        RetrievalEvaluation(TEST).evaluate()


def test_one_callback_for_several_models():
    evaluation = RetrievalEvaluation(TEST)
    for rate in (0.001, 0.1):
        model = small.model(keras.optimizers.Adam(rate))
        history = model.fit(*small.data(), callbacks=[evaluation], **QUICK).history
        embeddings = embedder_of(model).predict(TEST[0], verbose=0)
        expected = retrieval_metrics(embeddings, TEST[1])["map@r"]
        assert history["val_map@r"][-1] == pytest.approx(expected, abs=1e-6)


@pytest.mark.tensorflow
def test_an_endless_dataset_is_refused():
    import tensorflow as tf

    with pytest.raises(ValueError, match="that never ends"):
        RetrievalEvaluation(tf.data.Dataset.from_tensor_slices(TEST).batch(4).repeat())


def test_a_pytorch_data_loader_on_any_backend():
    torch = pytest.importorskip("torch")
    rows = torch.utils.data.TensorDataset(torch.tensor(TEST[0]), torch.tensor(TEST[1]))
    embedder = embedder_of(small.model())
    loader = torch.utils.data.DataLoader(rows, batch_size=17)
    metrics = RetrievalEvaluation(loader, embedder).evaluate()
    expected = RetrievalEvaluation(TEST, embedder).evaluate()
    assert metrics["map@r"] == pytest.approx(expected["map@r"], abs=1e-6)
