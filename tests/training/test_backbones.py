"""Backbones by name, by file and as models, with their pooling and preprocessing."""

import functools

import keras
import numpy as np
import pytest
from small_runs import backbone as tiny

from keras_proxygml import ProxyGML, embedder_of
from keras_proxygml.training import make_backbone, with_preprocessing
from keras_proxygml.training.backbones import name_of
from keras_proxygml.training.hub import pooled

IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "name", ["bn_inception", "MobileNetV2", pytest.param("ResNet50", marks=pytest.mark.slow)]
)
def test_the_saved_embedder_contains_its_preprocessing(tmp_path, name):
    backbone = make_backbone(name, image_size=64)
    assert backbone.image_size == 64
    with_preprocessing(backbone.model, backbone.preprocess).save(tmp_path / "embedder.keras")
    expected = backbone.model(backbone.preprocess(IMAGES.copy()))
    embedder = keras.models.load_model(tmp_path / "embedder.keras")
    np.testing.assert_allclose(embedder(IMAGES), expected, rtol=1e-4, atol=1e-5)


def test_a_file_and_a_model_keep_their_weights_and_their_size(tmp_path):
    model = tiny()
    model.save(tmp_path / "tiny.keras")
    for given in (model, tmp_path / "tiny.keras", str(tmp_path / "tiny.keras")):
        made = make_backbone(given)
        assert (made.image_size, made.preprocess) == (12, None)
        got, expected = (m.predict(IMAGES[:, :12, :12], verbose=0) for m in (made.model, model))
        np.testing.assert_array_equal(got, expected)
        made.model.set_weights([0 * w for w in made.model.get_weights()])
    assert model.get_weights()[0].any()  # a copy was changed


def test_a_model_with_proxies_is_no_backbone(tmp_path):
    network = tiny()
    model = keras.Model(network.input, ProxyGML(3, 2)(network.output), name="trained")
    model.save(tmp_path / "trained.keras")
    for given in (model, tmp_path / "trained.keras"):
        message = r"^`backbone` must be a model without proxies. Received: trained, .* embedder_of"
        with pytest.raises(ValueError, match=message):
            make_backbone(given)
    assert make_backbone(embedder_of(model)).model.output_shape == (None, 8)


def test_sizes_that_nothing_fixes():
    open_model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(4, 3)])
    assert make_backbone(open_model).image_size == 224
    assert make_backbone(open_model, any_size=48).image_size == 48
    assert make_backbone(open_model, image_size=96, any_size=48).image_size == 96
    assert make_backbone("small", any_size=16).model.output_shape == (None, 2 * 2 * 128)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 16}, r"`image_size` must be that of the backbone, 12. Received: image_"),
        ({"weights": "imagenet"}, "`weights` must be left out with `backbone` tiny"),
        ({"preprocess": "none"}, "`preprocess` must be 'auto'. Received: preprocess='none'"),
    ],
)
def test_options_that_a_model_does_not_take(options, message):
    with pytest.raises(ValueError, match=message):
        make_backbone(tiny(), **options)


@pytest.mark.parametrize("name", ["resnet50", "ResNet51"])
def test_an_unknown_backbone_is_named(name):
    message = rf"`backbone` must be bn_inception, .* Received: {name}\."
    with pytest.raises(ValueError, match=message):
        make_backbone(name)


def test_a_size_that_a_backbone_cannot_have():
    with pytest.raises(ValueError, match="`backbone` must fit `weights` and `image_size`"):
        make_backbone("bn_inception", image_size=50)


class Tokens(keras.layers.Layer):
    """Cuts images into patches of 4 x 4, behind `extra` tokens of ones."""

    def __init__(self, extra=0):
        super().__init__()
        self.extra = extra

    def call(self, images):
        patches = keras.ops.image.extract_patches(images, 4, 4)
        tokens = keras.ops.reshape(patches, (-1, 4, 48))
        ones = keras.ops.ones_like(tokens[:, : self.extra])
        return keras.ops.concatenate([ones, tokens], axis=1)


def with_tokens(extra, outputs=lambda x: x, **attributes):
    images = keras.Input((8, 8, 3), name="images")
    model = keras.Model({"images": images}, outputs(Tokens(extra)(images)))
    for name, value in attributes.items():
        object.__setattr__(model, name, value)
    return model


@pytest.mark.parametrize(
    ("attributes", "extra", "is_first"),
    [
        ({"patch_size": 4}, 1, True),
        ({"patch_size": (4, 4)}, 2, True),
        ({"patch_size": 4}, 0, False),
        ({"patch_size": 4, "use_class_token": False}, 1, False),
        ({}, 1, False),
    ],
)
def test_a_class_token_is_taken_and_other_tokens_are_averaged(attributes, extra, is_first):
    model = with_tokens(extra, **attributes)
    vectors = np.asarray(pooled(model, 8)(IMAGES[:, :8, :8]))
    tokens = np.asarray(model({"images": IMAGES[:, :8, :8]}))
    expected = tokens[:, 0] if is_first else tokens.mean(axis=1)
    np.testing.assert_allclose(vectors, expected, rtol=1e-5)


def test_maps_are_averaged_and_pooled_outputs_are_taken():
    images = keras.Input((8, 8, 3))
    maps = keras.Model(images, keras.layers.Rescaling(2)(images))
    expected = 2 * IMAGES[:, :8, :8].mean(axis=(1, 2))
    np.testing.assert_allclose(pooled(maps, 8)(IMAGES[:, :8, :8]), expected, rtol=1e-5)
    named = with_tokens(0, lambda x: {"sequence_output": x, "pooled_output": x[:, 2]})
    expected = named({"images": IMAGES[:, :8, :8]})["pooled_output"]
    np.testing.assert_allclose(pooled(named, 8)(IMAGES[:, :8, :8]), expected, rtol=1e-6)


def test_models_that_cannot_be_pooled():
    named = with_tokens(0, lambda x: {"boxes": x, "scores": x})
    with pytest.raises(ValueError, match=r"`backbone` must give one output, .* gives boxes, sco"):
        pooled(named, 8)
    texts = keras.Input((8,), name="texts")
    both = keras.Model({"images": named.inputs[0], "texts": texts}, keras.layers.Dense(2)(texts))
    with pytest.raises(ValueError, match=r"`backbone` must take images only. Received: .* texts"):
        pooled(both, 8)


def test_names_of_preprocessing():
    assert name_of(None) == "none"
    assert name_of(keras.applications.resnet.preprocess_input) == (
        "keras.applications.resnet.preprocess_input"
    )
    assert name_of(functools.partial(np.multiply, 2)) == "functools.partial"
    shown = name_of(keras.layers.Rescaling(0.5, name="any"))
    assert shown == "keras.Rescaling(offset=0.0, scale=0.5)"
