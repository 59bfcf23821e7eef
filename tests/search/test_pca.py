import keras
import numpy as np
import pytest
from sklearn.decomposition import PCA

from keras_proxygml.metrics import compare_results, query_results
from keras_proxygml.search.pca import with_pca


def embedder(dims=8):
    inputs = keras.Input((5,))
    return keras.Model(inputs, keras.layers.Dense(dims)(inputs), name="small")


def images(n=200, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 5)).astype("float32")


def units(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("whiten", [False, True])
def test_it_is_the_pca_of_scikit_learn(whiten):
    model = embedder()
    vectors = model.predict(images(), verbose=0)
    short = with_pca(model, vectors, 3, whiten=whiten)
    new = images(50, seed=1)
    wanted = (
        PCA(3, whiten=whiten)
        .fit(units(vectors.astype("float64")))
        .transform(units(model.predict(new, verbose=0)))
    )
    np.testing.assert_allclose(short.predict(new, verbose=0), wanted, atol=1e-4)
    assert short.output_shape == (None, 3)


def test_it_is_saved_as_one_model(tmp_path):
    model = embedder()
    short = with_pca(model, model.predict(images(), verbose=0), 4)
    short.save(tmp_path / "short.keras")
    loaded = keras.saving.load_model(tmp_path / "short.keras")
    np.testing.assert_array_equal(
        loaded.predict(images(9), verbose=0), short.predict(images(9), verbose=0)
    )
    assert model.layers[-1] in short.layers  # which shares the embedder's weights


def test_sequential_models_and_half_precision():
    layers = [keras.Input((5,)), keras.layers.Dense(8, dtype="mixed_float16")]
    model = keras.Sequential(layers)
    vectors = model.predict(images(), verbose=0)
    short = with_pca(model, vectors.astype("float32"), 8)
    found = short.predict(images(9), verbose=0)
    assert found.dtype == "float32"
    # All components only turn and shift the vectors, so distances stay.
    before = units(vectors[:9].astype("float32"))
    distance = np.linalg.norm(before[:, None] - before, axis=2)
    np.testing.assert_allclose(np.linalg.norm(found[:, None] - found, axis=2), distance, atol=1e-3)


def test_what_fewer_dims_cost_in_recall():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 40, 800)
    centers = rng.normal(size=(40, 6)) @ rng.normal(size=(6, 32))  # classes differ in 6 directions
    vectors = centers[labels] + 0.8 * rng.normal(size=(800, 32))
    inputs = keras.Input((32,))
    model = keras.Model(inputs, keras.layers.Identity()(inputs))

    def cost(dims):
        shorter = with_pca(model, vectors, dims).predict(vectors, verbose=0)
        first, second = query_results(vectors, labels), query_results(shorter, labels)
        return compare_results(first, second)["recall@1"]

    assert cost(2).high < -0.2  # two of six directions are not enough
    assert cost(12).low > -0.05
    assert abs(cost(32).difference) < 0.05


def test_components_without_variance_stay_finite():
    vectors = np.zeros((20, 8))
    vectors[:, :2] = np.random.default_rng(0).normal(size=(20, 2))
    short = with_pca(embedder(), vectors, 8, whiten=True)
    assert np.isfinite(short.predict(images(9), verbose=0)).all()


@pytest.mark.parametrize(
    ("vectors", "dims", "message"),
    [
        (
            np.ones((9, 8)),
            9,
            r"`dims` must be an integer of 1 to 8\. Received: dims=9\. A PCA of 9",
        ),
        (np.eye(3, 8), 4, r"`dims` must be an integer of 1 to 3\. Received: dims=4"),
        (np.ones((9, 7)), 2, r"`embedder` must be .* \[B, 7\].* Received: outputs \[\(None, 8\)\]"),
        (np.full((9, 8), np.nan), 2, r"`embeddings` must be finite"),
    ],
)
def test_errors(vectors, dims, message):
    with pytest.raises(ValueError, match=message):
        with_pca(embedder(), vectors, dims)


def test_a_model_that_is_not_built():
    with pytest.raises(ValueError, match=r"`embedder` must be a built model.* outputs \[\]"):
        with_pca(keras.Sequential([keras.layers.Dense(8)]), np.eye(8), 2)
