"""An exported file computes in its own runtime what `predict` computes."""

import json
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
from conftest import make_embedder, with_statistics
from image_kinds import GRAY, TRANSPARENT, encode, exif, png
from photos import photo

from keras_proxygml.datasets import ImageFiles, read_image
from keras_proxygml.export import export
from keras_proxygml.export.comparison import Exported, least_cosine, warn_unless_faithful
from keras_proxygml.export.formats import FORMATS
from keras_proxygml.export.runtimes import load, load_bytes

BACKEND = keras.backend.backend()
NAMES = {"saved_model": "model", "onnx": "a.onnx", "openvino": "a.xml", "litert": "a.tflite"}
PACKAGES = {"onnx": ["onnxruntime"], "openvino": ["openvino"], "litert": ["ai_edge_litert"]}
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("onnx", "openvino", "litert")]


def need(format):
    """Skips a test that the backend or the installed packages do not allow."""
    if BACKEND not in FORMATS[format].writers:
        pytest.skip(f"{BACKEND} does not write {format}")
    for package in [*FORMATS[format].writers[BACKEND], *PACKAGES.get(format, [])]:
        pytest.importorskip(package)


@pytest.mark.parametrize("format", ["saved_model", *SLOW])
def test_a_file_computes_what_predict_computes(tmp_path, embedder, images, format):
    need(format)
    labels = np.arange(len(images)) % 3
    found = export(embedder, tmp_path / NAMES[format], format=format, check=images, labels=labels)
    assert found.images == len(images)
    assert found.least_cosine > 1 - 1e-6
    assert found.largest_difference < 1e-4
    assert found.recall_change == 0
    assert found.recall_before == found.recall_after > 0
    assert found.size > 20_000
    run = load(found.path, format)
    expected = embedder.predict(images, verbose=0)
    for rows in (slice(1), slice(3), slice(None)):
        np.testing.assert_allclose(run(images[rows]), expected[rows], atol=1e-4)
    assert not list(tmp_path.glob(".export*"))


def test_a_saved_model_holds_each_weight_once(tmp_path, embedder):
    need("saved_model")
    import tensorflow as tf

    export(embedder, tmp_path / "model")
    saved = [shape for _, shape in tf.train.list_variables(tmp_path / "model/variables/variables")]
    weights = [w for w in embedder.weights if not w.path.startswith("seed_generator")]
    assert saved.count([3, 3, 3, 8]) == 1
    assert sum(len(shape) > 0 for shape in saved) <= len(weights)


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_8_bits_are_smaller_and_nearly_the_same(tmp_path, embedder, images, format):
    need(format)
    whole = export(embedder, tmp_path / NAMES[format], format=format)
    assert whole.least_cosine is None
    assert whole.images == 0
    found = export(
        embedder,
        tmp_path / "int8" / NAMES[format],
        format=format,
        check=images,
        quantize="int8",
        calibration=images[:6],
    )
    assert found.size < 0.6 * whole.size
    assert 0.99 < found.least_cosine < 1 - 1e-7
    assert load(found.path, format)(images).dtype == "float32"


@pytest.mark.tensorflow
def test_an_embedder_of_other_inputs_has_no_endpoint_for_bytes(tmp_path):
    inputs = keras.Input((24, 20, 1))
    x = keras.layers.Flatten()(inputs)
    embedder = keras.Model(inputs, keras.layers.Dense(4)(x))
    images = np.random.default_rng(0).normal(size=(5, 24, 20, 1))
    found = export(embedder, tmp_path / "model", check=images)
    assert found.endpoints == ("serve",)
    assert found.least_cosine > 1 - 1e-6


@pytest.mark.slow
@pytest.mark.tensorflow
def test_mixed_precision_is_exported_to_a_saved_model(tmp_path, images):
    keras.config.set_dtype_policy("mixed_bfloat16")
    found = export(make_embedder(), tmp_path / "model", check=images)
    assert found.least_cosine > 0.9999


FILES = {
    **{f"turned_{n}.jpg": encode(photo(60, 45, n), "JPEG", exif=exif(n)) for n in range(1, 9)},
    "large.jpg": encode(photo(800, 600), "JPEG", exif=exif(6, ">")),
    "alpha.png": encode(TRANSPARENT, "PNG"),
    "gray.jpg": encode(GRAY, "JPEG"),
    "16_bit.png": png(np.asarray(photo(48, 48)).astype("uint16") * 257, 16, 2),
    "cmyk.jpg": encode(photo(60, 45).convert("CMYK"), "JPEG"),
}
SERVE = """
import json, sys
sys.modules["keras"] = sys.modules["keras_proxygml"] = sys.modules["PIL"] = None
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
contents = [open(path, "rb").read() for path in sys.argv[2:]]
vectors = model.signatures["serve_bytes"](image_bytes=tf.constant(contents))["output_0"]
try:
    model.serve_bytes(tf.constant([contents[0], b"no image"]))
    refused = "nothing"
except tf.errors.InvalidArgumentError as error:
    refused = str(error)
assert sys.modules["keras"] is None
print(json.dumps([vectors.numpy().tolist(), refused]))
"""


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_server_without_keras_embeds_files(tmp_path, embedder):
    for name, contents in FILES.items():
        (tmp_path / name).write_bytes(contents)
    paths = [tmp_path / name for name in FILES]
    files = ImageFiles(paths, np.zeros(len(paths), int), ["all"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Recall@1 of one class
        found = export(embedder, tmp_path / "model", check=files)
    assert found.endpoints == ("serve", "serve_bytes")
    assert found.least_cosine_of_bytes > 0.9999
    assert found.least_cosine > 1 - 1e-6

    command = [sys.executable, "-c", SERVE, tmp_path / "model", *paths]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    vectors, refused = json.loads(done.stdout.splitlines()[-1])
    images = np.stack([read_image(path, image_size=24) for path in paths])
    expected = embedder.predict(images, verbose=0)
    assert least_cosine(expected, np.array(vectors)) > 0.9999
    assert "must be whole JPEG or PNG files" in refused


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_shorter_side_is_that_of_evaluation(tmp_path, embedder):
    paths = [tmp_path / f"{n}.png" for n in range(4)]
    for number, path in enumerate(paths):
        path.write_bytes(encode(photo(60, 45, number), "PNG"))
    files = ImageFiles(paths, [0, 0, 1, 1], "ab")
    found = export(embedder, tmp_path / "model", check=files, shorter_side=40)
    assert found.least_cosine_of_bytes > 0.9999
    vector = load_bytes(found.path)([paths[0].read_bytes()])
    image = read_image(paths[0], image_size=24, shorter_side=40)[None]
    np.testing.assert_allclose(vector, embedder.predict(image, verbose=0), atol=1e-3)
    other = read_image(paths[0], image_size=24)[None]
    assert np.abs(vector - embedder.predict(other, verbose=0)).max() > 0.05


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["check", "calibration"])
def test_an_image_that_cannot_be_read_is_named(tmp_path, embedder, name):
    paths = [tmp_path / f"{n}.png" for n in range(4)]
    for number, path in enumerate(paths):
        path.write_bytes(encode(photo(60, 45, number), "PNG"))
    paths[2].write_bytes(b"no image")
    files = ImageFiles(paths, [0, 0, 1, 1], "ab")
    message = f"`{name}` must be images that can be read. Received: .*/2.png, which cannot be read."
    format, quantize = ("saved_model", None) if name == "check" else ("litert", "int8")
    need(format)
    path = tmp_path / "model.tflite"
    with pytest.raises(ValueError, match=message):
        export(embedder, path, format=format, quantize=quantize, **{name: files})
    assert not path.exists()


@pytest.mark.slow
@pytest.mark.tensorflow
def test_an_earlier_export_is_replaced_only_on_demand(tmp_path, embedder, images):
    path = tmp_path / "new" / "model"
    export(embedder, path)
    before = load(path, "saved_model")(images)
    other = make_embedder()
    other.layers[-1].kernel.assign(-other.layers[-1].kernel)
    with pytest.raises(FileExistsError, match=r"`path` must be free. Received: .*/new/model, wh"):
        export(other, path)
    export(other, path, overwrite=True)
    after = load(path, "saved_model")(images)
    assert np.abs(after - before).max() > 0.1
    assert [x.name for x in path.parent.iterdir()] == ["model"]


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_failed_export_leaves_the_earlier_one(tmp_path, embedder, images, monkeypatch):
    path = tmp_path / "model"
    export(embedder, path)
    broken = {"saved_model": lambda path: lambda images: 1 / 0}
    monkeypatch.setattr("keras_proxygml.export.runtimes._saved_model", broken["saved_model"])
    with pytest.raises(ZeroDivisionError):
        export(embedder, path, check=images, overwrite=True)
    assert (path / "saved_model.pb").exists()
    assert [x.name for x in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(
    "found", [{"least_cosine": 0.9}, {"least_cosine": float("nan")}, {"least_cosine_of_bytes": 0.5}]
)
def test_a_wrong_file_is_named(tmp_path, found):
    with pytest.warns(UserWarning, match="does not compute what the embedder computes"):
        warn_unless_faithful(Exported(tmp_path / "a.onnx", "onnx", **found))
    warn_unless_faithful(Exported(tmp_path / "a.onnx", "onnx", "int8", **found))
    warn_unless_faithful(Exported(tmp_path / "a.onnx", "onnx", least_cosine=0.99991))


def test_the_least_cosine_is_that_of_the_worst_row():
    expected = np.array([[1, 0], [0, 2], [3, 4]], "float32")
    found = np.array([[2, 0], [0, 1], [4, 3]], "float32")
    assert least_cosine(expected, found) == pytest.approx(24 / 25)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_an_operation_that_onnx_does_not_have_is_named(tmp_path):
    need("onnx")
    inputs = keras.Input((4,))
    embedder = keras.Model(inputs, keras.ops.erfinv(inputs))
    message = "`embedder` must consist of operations that ONNX has. Received: .*Erfinv"
    with pytest.raises(ValueError, match=message):
        export(embedder, tmp_path / "a.onnx", format="onnx")
    assert not list(tmp_path.iterdir())


def vit():
    keras_hub = pytest.importorskip("keras_hub")
    shape = {"image_shape": (32, 32, 3), "patch_size": 8, "num_layers": 2, "num_heads": 2}
    return keras_hub.models.ViTBackbone(**shape, hidden_dim=32, mlp_dim=64), (32, 32, 3)


def bn_inception():
    from keras_proxygml.applications import BNInception

    return BNInception((64, 64, 3), pooling="avg"), (64, 64, 3)


def mobilenet():
    options = {"include_top": False, "weights": None, "pooling": "avg"}
    return keras.applications.MobileNetV3Small((32, 32, 3), **options), (32, 32, 3)


CANNOT = {
    ("vit", "onnx", "torch"): "PyTorch's exporter fails at an operation of KerasHub's ViT",
    ("bn_inception", "onnx", "jax"): "onnxruntime refuses a pooling that jax2onnx writes",
}


@pytest.mark.slow
@pytest.mark.parametrize("format", list(NAMES))
@pytest.mark.parametrize("make", [bn_inception, mobilenet, vit])
def test_backbones_are_exported(tmp_path, make, format):
    need(format)
    if (make.__name__, format, BACKEND) in CANNOT:
        pytest.skip(CANNOT[make.__name__, format, BACKEND])
    keras.utils.set_random_seed(0)
    backbone, shape = make()
    images = keras.Input(shape)
    x = backbone(images)
    x = x[:, 0] if x.ndim == 3 else x
    embedder = with_statistics(keras.Model(images, keras.layers.Dense(16)(x)))
    check = np.random.default_rng(0).uniform(-128, 128, (5, *shape)).astype("float32")
    found = export(embedder, tmp_path / NAMES[format], format=format, check=check)
    assert found.least_cosine > 1 - 1e-6
