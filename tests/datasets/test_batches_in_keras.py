"""Keras trains on batches of images, resumes, evaluates, and shares them among replicas."""

import keras
import numpy as np
import pytest
from photos import embedding_model, twelve_photos  # noqa: F401, a fixture

from keras_proxygml import RetrievalEvaluation
from keras_proxygml.datasets import evaluation_batches, training_batches

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize("make", [training_batches, evaluation_batches])
def test_length_is_known(files, make):
    assert len(make(files, 5, image_size=16)) == 3
    assert len(make(files, 4, image_size=16, on_error="raise")) == 3


@pytest.mark.slow
def test_resumed_training_equals_uninterrupted_training(files, tmp_path):
    whole, half = embedding_model(), embedding_model()
    quiet = {"shuffle": False, "verbose": 0}  # Keras warns that it cannot shuffle a dataset
    whole.fit(training_batches(files, 4, image_size=16), epochs=4, **quiet)
    half.fit(training_batches(files, 4, image_size=16), epochs=2, **quiet)
    half.save(tmp_path / "half.keras")
    resumed = keras.models.load_model(tmp_path / "half.keras")
    rest = training_batches(files, 4, image_size=16, first_epoch=2)
    resumed.fit(rest, initial_epoch=2, epochs=4, **quiet)
    for expected, weight in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-5, atol=1e-6)


def test_retrieval_evaluation_takes_evaluation_batches(files):
    model = embedding_model()
    evaluation = RetrievalEvaluation(evaluation_batches(files, 5, image_size=16), embedder=model)
    assert 0 <= evaluation.evaluate()["recall@1"] <= 1


def test_replicas_share_the_batches(files):
    import tensorflow as tf

    strategy = tf.distribute.MirroredStrategy(tf.config.list_logical_devices("CPU")[:2])
    dataset = strategy.experimental_distribute_dataset(training_batches(files, 4, image_size=16))
    labels = [strategy.experimental_local_results(batch[1]) for batch in dataset]
    assert [[len(part) for part in parts] for parts in labels] == [[2, 2]] * 3
    assert sorted(np.concatenate([*map(np.concatenate, labels)])) == sorted(files.labels)
