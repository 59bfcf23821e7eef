"""Backbones of KerasHub, small ones from random weights."""

import keras
import numpy as np
import pytest
from small_runs import pixels, train

from keras_proxygml.training import make_backbone, open_run

keras_hub = pytest.importorskip("keras_hub")
pytestmark = pytest.mark.tensorflow
IMAGES = pixels(size=28)[0].astype("float32")


def vit():
    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "mlp_dim": 16}
    return keras_hub.models.ViTBackbone(image_shape=(28, 28, 3), patch_size=14, **sizes)


def dinov2():
    return keras_hub.models.DINOV2Backbone(
        patch_size=14,
        num_layers=1,
        hidden_dim=8,
        num_heads=2,
        intermediate_dim=16,
        num_register_tokens=2,
        image_shape=(28, 28, 3),
        position_embedding_shape=(42, 42, 3),  # another size, as in pretraining
    )


def converter():
    scale, offset = [1 / 50, 1 / 60, 1 / 70], [-1.0, -2.0, -3.0]
    return keras_hub.layers.ImageConverter(image_size=(28, 28), scale=scale, offset=offset)


def class_token(network, images):
    features = images * np.array([1 / 50, 1 / 60, 1 / 70]) - [1, 2, 3]
    inputs = {"images": features} if isinstance(network.input, dict) else features
    return np.asarray(network(inputs))[:, 0]


@pytest.mark.parametrize("make", [vit, dinov2])
def test_the_class_token_becomes_the_vector(make, tmp_path):
    network = make()
    expected = class_token(network, IMAGES)
    network.save_to_preset(tmp_path)
    converter().save_to_preset(tmp_path)
    for given in ({"backbone": network, "preprocess": converter()}, {"backbone": tmp_path}):
        backbone = make_backbone(**given)
        assert backbone.image_size == 28
        prepared = backbone.preprocess(IMAGES)
        np.testing.assert_allclose(backbone.model(prepared), expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("make", [vit, dinov2])
def test_a_run_saves_all_that_was_trained(make, tmp_path):
    network = make()
    before = class_token(network, IMAGES)
    data = pixels(size=28)
    options = {"backbone": network, "preprocess": converter(), "output": tmp_path / "run"}
    result = train(data, **options)
    vectors = result.embedder.predict(IMAGES, verbose=0)
    run = open_run(tmp_path / "run")
    np.testing.assert_allclose(run.embedder.predict(IMAGES, verbose=0), vectors, atol=1e-5)
    assert run.description["preprocessing"].startswith("keras_hub.ImageConverter(image_size=(28,")
    # DINOv2 trains its position embeddings, and the state on disk must have them too.
    again = train(data, **options)
    np.testing.assert_allclose(again.embedder.predict(IMAGES, verbose=0), vectors, atol=1e-5)
    np.testing.assert_array_equal(class_token(network, IMAGES), before)


def test_a_saved_backbone_in_a_file(tmp_path):
    network = vit()
    network.save(tmp_path / "vit.keras")
    backbone = make_backbone(tmp_path / "vit.keras", preprocess=converter())
    prepared = backbone.preprocess(IMAGES)
    np.testing.assert_allclose(backbone.model(prepared), class_token(network, IMAGES), atol=1e-5)


def test_preprocessing_must_be_given():
    with pytest.raises(ValueError, match=r"`preprocess` must be given .* KerasHub.*or None if"):
        make_backbone(vit())
    assert make_backbone(vit(), preprocess=None).preprocess is None
    assert isinstance(converter(), keras.Layer)
