"""BN-Inception against the official network's numbers, and batch normalization that is frozen."""

import json
import zlib
from pathlib import Path

import keras
import numpy as np
import pytest
from torch_files import write_zip

from keras_proxygml import freeze_batch_norm
from keras_proxygml.applications import BNInception

GOLDEN = Path(__file__).parent.parent / "golden" / "bn_inception_official.npz"


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as file:
        return dict(file)


def official_weight(name, shape):
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    kind = name.rpartition(".")[2]
    if "_bn." in name and kind in ("weight", "running_var"):
        values = rng.uniform(0.5, 1.5, shape)
    elif kind == "weight":
        values = rng.normal(0, 1, shape) * np.sqrt(2 / np.prod(shape[1:]))
    else:
        values = rng.normal(0, 0.1, shape)
    return values.astype("float32")


@pytest.fixture(scope="module")
def official(golden, tmp_path_factory):
    """The network of any image size, with the official weights, read from a checkpoint."""
    path = tmp_path_factory.mktemp("official") / "official.pth"
    names = json.loads(str(golden["parameters"]))
    write_zip(path, {name: official_weight(name, shape) for name, shape in names})
    return BNInception((None, None, 3), embedding_size=512, weights=path)


def part_of(model, *layers):
    return keras.Model(model.input, [model.get_layer(name).output for name in layers])


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(2020)
    means = np.array([104, 117, 128], "float32")
    return {n: rng.uniform(0, 255, (2, n, n, 3)).astype("float32") - means for n in (224, 96)}


def close(ours, theirs, tolerance):
    """Agreement relative to the largest number of the array."""
    assert ours.shape == theirs.shape
    assert np.max(np.abs(ours - theirs)) <= tolerance * np.max(np.abs(theirs))


@pytest.mark.parametrize(("size", "count"), [(224, 2), (96, 1)])
def test_official_feature_map_and_embedding(official, golden, images, size, count):
    both = part_of(official, "inception_5b_output", "unit")
    features, embeddings = both.predict(images[size][:count], verbose=0)  # compiled
    close(features, golden[f"feature_map_{size}"], 1e-5)
    close(embeddings, golden[f"embedding_{size}"], 1e-5)


def test_size_of_the_network(official, golden):
    counts = [np.prod(shape) for _, shape in json.loads(str(golden["parameters"]))]
    assert official.count_params() == sum(counts) == 10_815_072


def overhanging_maximum(x):
    """3×3 windows at every second pixel, the last of which may hang over the edge. [H, W]."""
    starts = [range(0, n if n % 2 == 0 else n - 2, 2) for n in x.shape]
    return np.array([[x[i : i + 3, j : j + 3].max() for j in starts[1]] for i in starts[0]])


@pytest.mark.parametrize("shape", [(8, 8), (7, 7), (7, 10)])
def test_pooling_of_even_and_odd_sides(official, shape):
    after, before = (official.get_layer(f"pool1_3x3_s2{end}") for end in ("", "_pad"))
    x = np.random.default_rng(0).uniform(size=(1, *shape, 64)).astype("float32")
    pooled = keras.ops.convert_to_numpy(after(before(x)))
    np.testing.assert_array_equal(pooled[0, ..., 5], overhanging_maximum(x[0, ..., 5]))


def test_feature_map_of_any_shape():
    model = BNInception((64, 96, 3))
    assert (model.name, model.output_shape) == ("bn_inception", (None, 2, 3, 1024))


@pytest.mark.parametrize(("pooling", "pool"), [("avg", np.mean), ("max", np.max)])
def test_pooling(pooling, pool):
    model = BNInception((64, 102, 3), pooling=pooling)
    x = np.random.default_rng(0).normal(size=(2, 64, 102, 3)).astype("float32")
    maps, pooled = part_of(model, "inception_5b_output", "global_pool").predict(x, verbose=0)
    assert model.output_shape == (None, 1024)
    assert maps.shape == (2, 2, 3, 1024)
    np.testing.assert_allclose(pooled, pool(maps, axis=(1, 2)), rtol=1e-5, atol=1e-6)


def test_arguments_that_are_refused(tmp_path):
    for shape in [(3, 224, 224), (224, 224), (6, 224, 3), (224, 112, 3), (0, 32, 3)]:
        with pytest.raises(
            ValueError, match=r"`input_shape` must be \(H, W, 3\), .* Received: input_shape="
        ):
            BNInception(shape)
    with pytest.raises(
        ValueError, match=r"must be None, 'avg' or 'max'\. Received: pooling='mean'"
    ):
        BNInception(pooling="mean")
    with pytest.raises(
        ValueError, match=r"must be an integer of 1 or more\. Received: embedding_size=0"
    ):
        BNInception(embedding_size=0)
    with pytest.raises(
        FileNotFoundError, match=r"'imagenet', which is no file\. Nothing is downloaded"
    ):
        BNInception((32, 32, 3), weights="imagenet")


@pytest.mark.slow
def test_saved_and_loaded(official, images, tmp_path):
    expected = official.predict(images[96][:1], verbose=0)
    official.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(images[96][:1], verbose=0), expected, atol=1e-6)

    official.save_weights(tmp_path / "some.weights.h5")
    weights = tmp_path / "some.weights.h5"
    again = BNInception((None, None, 3), embedding_size=512, weights=weights)
    for ours, theirs in zip(again.get_weights(), official.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def nested_model():
    inner_inputs = keras.Input((6, 6, 3))
    x = keras.layers.Conv2D(4, 3, name="convolution")(inner_inputs)
    x = keras.layers.BatchNormalization(name="inner")(x)
    inner = keras.Model(inner_inputs, x, name="backbone")
    inputs = keras.Input((6, 6, 3))
    x = keras.Sequential([inner, keras.layers.BatchNormalization(name="middle")])(inputs)
    x = keras.layers.Dense(2, name="dense")(keras.layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, keras.layers.BatchNormalization(name="outer")(x))


@pytest.mark.parametrize("freeze", [True, False])
def test_frozen_batch_norm_stays_while_the_rest_trains(freeze):
    model = nested_model()
    if freeze:
        assert freeze_batch_norm(model) == 3
    model.compile("sgd", "mse")
    before = {v.path: keras.ops.convert_to_numpy(v) for v in model.variables}
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, size=(32, 6, 6, 3)).astype("float32")
    model.fit(x, rng.normal(size=(32, 2)), verbose=0)
    norms = [name for name in before if name.split("/")[-2] in ("inner", "middle", "outer")]
    rest = [name for name in before if "convolution" in name or name.startswith("dense")]
    assert (len(norms), len(rest)) == (12, 4)
    changed = {
        variable.path
        for variable in model.variables
        if not np.array_equal(before[variable.path], keras.ops.convert_to_numpy(variable))
    }
    if freeze:
        assert not changed & set(norms)
        # Statistics of 0 and 1 that are not the batch's: it normalizes by those it has.
        backbone = model.layers[1].layers[0]
        maps = keras.ops.convert_to_numpy(backbone(x, training=True))
        unchanged = keras.ops.convert_to_numpy(backbone.get_layer("convolution")(x))
        np.testing.assert_allclose(maps, unchanged, rtol=1e-3, atol=2e-3)
    else:
        assert changed >= {n for n in norms if "moving" in n}
    assert changed & set(rest)


def test_freezing_batch_norm_of_other_models():
    assert freeze_batch_norm(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])) == 0
    mobile = keras.applications.MobileNet((32, 32, 3), 0.25, include_top=False, weights=None)
    assert freeze_batch_norm(mobile) == 27
    assert len(mobile.non_trainable_variables) == 4 * 27
