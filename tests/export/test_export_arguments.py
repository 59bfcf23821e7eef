"""What `export` refuses, before it writes anything."""

import sys

import keras
import numpy as np
import pytest
from conftest import make_embedder

from keras_proxygml import ProxyGML, embedder_of
from keras_proxygml.datasets import ImageFiles
from keras_proxygml.export import export
from keras_proxygml.export.arguments import check_pairs

BACKEND = keras.backend.backend()
IMAGES = np.zeros((4, 24, 24, 3), "float32")
ANY = "onnx"  # which all backends write


@pytest.fixture(autouse=True)
def _packages(monkeypatch):
    """Makes the packages look installed. None of these tests comes to use them."""
    import importlib.util

    find = importlib.util.find_spec
    fake = {"tf2onnx", "onnx", "jax2onnx", "onnxruntime", "openvino", "ai_edge_litert"}

    def find_spec(name, package=None):
        is_hidden = name in sys.modules and sys.modules[name] is None
        return object() if name in fake and not is_hidden else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)


def refused(message, embedder, path, error=ValueError, **options):
    before = sorted(path.parent.rglob("*"))
    with pytest.raises(error, match=message):
        export(embedder, path, **options)
    assert sorted(path.parent.rglob("*")) == before


def test_an_unknown_format(embedder, tmp_path):
    message = r"`format` must be 'saved_model', 'onnx', 'openvino' or 'litert'. Received: format='c"
    refused(message, embedder, tmp_path / "a", format="coreml")


def test_a_format_of_another_backend(embedder, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    message = (
        r"`format` must be one that the backend torch can write: onnx, openvino. Received: "
        r"format='litert'. The backend tensorflow writes it. Save the embedder as a .keras file"
    )
    refused(message, embedder, tmp_path / "a.tflite", format="litert")
    message = "The backend tensorflow or jax writes it"
    refused(message, embedder, tmp_path / "a", format="saved_model")
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    message = "backend jax can write: saved_model, onnx. Received: format='openvino'. The backend"
    refused(message, embedder, tmp_path / "a.xml", format="openvino")


def test_a_runtime_that_is_not_installed(embedder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    message = (
        r"`format` must be one whose packages are installed. Received: format='onnx', without "
        r"onnxruntime. Run `pip install 'keras-proxygml\[export\]'`"
    )
    path = tmp_path / "a.onnx"
    refused(message, embedder, path, ImportError, format="onnx", check=IMAGES)
    refused(message, embedder, path, ImportError, format="onnx", quantize="int8")


def test_a_writer_that_is_not_installed(embedder, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    message = "without jax2onnx. Run `pip install jax2onnx`"
    refused(message, embedder, tmp_path / "a.onnx", ImportError, format="onnx")
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    message = r"without tf2onnx and onnx. Run `pip install 'keras-proxygml\[export\]'`"
    refused(message, embedder, tmp_path / "a.onnx", ImportError, format="onnx")


def test_a_path_of_another_suffix(embedder, tmp_path):
    message = r"`path` must end in .onnx for onnx. Received: .*/a.pb"
    refused(message, embedder, tmp_path / "a.pb", format="onnx")


def test_a_path_that_is_taken(embedder, tmp_path):
    path = tmp_path / "a.onnx"
    path.write_bytes(b"1")
    message = r"`path` must be free. Received: .*/a.onnx, which exists. Give another path, or"
    refused(message, embedder, path, FileExistsError, format="onnx")
    assert path.read_bytes() == b"1"


@pytest.mark.tensorflow
def test_overwriting_what_is_no_export(embedder, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "precious.jpg").write_bytes(b"1")
    message = r"be free or an earlier export to saved_model. Received: .*/photos, which is"
    refused(message, embedder, folder, FileExistsError, overwrite=True)
    refused(message[:20], embedder, folder / "precious.jpg", FileExistsError, overwrite=True)
    (tmp_path / "a.tflite").mkdir()
    options = {"format": "litert", "overwrite": True}
    refused("which is something", embedder, tmp_path / "a.tflite", FileExistsError, **options)


def test_a_model_with_proxies(embedder, tmp_path):
    model = keras.Model(embedder.input, ProxyGML(4, 2, name="head")(embedder.output))
    message = (
        r"`embedder` must end in embeddings. Received: .*, which has the proxy layer head. Give "
        r"embedder_of\(model\)"
    )
    refused(message, model, tmp_path / "a.onnx", format=ANY)
    outer = keras.Model(inputs := keras.Input((24, 24, 3)), model(inputs))
    refused(message, outer, tmp_path / "a.onnx", format=ANY)
    assert embedder_of(model).output_shape == (None, 8)


def test_what_is_no_embedder(embedder, tmp_path):
    path = tmp_path / "a.onnx"
    refused("be a keras.Model. Received: a function", lambda x: x, path, format=ANY)
    unbuilt = keras.Sequential([keras.layers.Dense(2)])
    message = "from one input to embeddings .* a Sequential with no known inputs. Call it on"
    refused(message, unbuilt, path, format=ANY)
    maps = keras.Model(embedder.input, embedder.layers[4].output)
    refused(r"outputs \[\(None, 11, 11, 8\)\]", maps, path, format=ANY)
    other = keras.Input((24, 24, 3), name="other")
    x = keras.layers.Flatten()(embedder.input + other)
    two = keras.Model([embedder.input, other], keras.layers.Dense(2)(x))
    refused(r"inputs \[\(None, 24, 24, 3\), \(None, 24, 24, 3\)\]", two, path, format=ANY)


def test_mixed_precision_for_onnx(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    half = make_embedder()
    message = (
        r"`embedder` must compute in float32 for onnx. Received: small, where \d+ layers such as "
        r".* compute in half precision. Make the same model under keras.config.set_dtype_policy"
    )
    refused(message, half, tmp_path / "a.onnx", format="onnx")
    keras.config.set_dtype_policy("float32")
    twin = make_embedder()
    twin.set_weights(half.get_weights())  # what the message advises


CHECKS = {
    "another size": (
        np.zeros((4, 24, 20, 3)),
        r"\[N, 24, 24, 3\].* shape \(4, 24, 20, 3\)",
    ),
    "one image": (IMAGES[0], r"numbers \[N, 24, 24, 3\], .* Received: shape \(24, 24, 3\)"),
    "too few": (IMAGES[:3], "`check` must have 4 images or more. Received: 3 images"),
    "none": (IMAGES[:0], "4 images or more. Received: 0 images"),
    "texts": (np.full((4, 24, 24, 3), "a"), "Received: shape .*, dtype <U1"),
    "NaN": (IMAGES + np.nan, "`check` must be finite. Received: NaN or infinite values"),
    "few files": (ImageFiles(["a.jpg"], [0], "a"), "4 images or more. Received: 1 images"),
}


@pytest.mark.parametrize("kind", CHECKS)
def test_wrong_images_to_check_with(embedder, tmp_path, kind):
    images, message = CHECKS[kind]
    refused(message, embedder, tmp_path / "a.onnx", format=ANY, check=images)


def test_image_files_for_an_embedder_of_other_inputs(tmp_path):
    inputs = keras.Input((24, 24, 1))
    gray = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(inputs)))
    files = ImageFiles(["a.jpg"] * 4, [0] * 4, "a")
    message = r"`check` must be an array, because the embedder does not take \[S, S, 3\] but"
    refused(message, gray, tmp_path / "a.onnx", format=ANY, check=files)


def test_wrong_labels(embedder, tmp_path):
    path = tmp_path / "a.onnx"
    refused("`labels` must be None without `check`", embedder, path, format=ANY, labels=[1, 2])
    options = {"format": ANY, "check": IMAGES}
    refused("`labels` must have 4 items, as `check` has", embedder, path, labels=[1], **options)
    refused("`labels` must be integers or str", embedder, path, labels=[0.5] * 4, **options)
    refused(
        "`labels` must have a class of at least two", embedder, path, labels=list("abcd"), **options
    )
    assert check_pairs(ImageFiles("abcd", range(4), "wxyz"), None) is None
    assert check_pairs(ImageFiles("abc", [0, 1, 0], "xy"), None).tolist() == [0, 1, 0]


def test_wrong_quantization(embedder, tmp_path):
    path = tmp_path / "a.onnx"
    refused("`quantize` must be None or 'int8'", embedder, path, format="onnx", quantize="int4")
    message = "`calibration` must be images for quantize='int8'. Received: None. Give a hundred"
    refused(message, embedder, path, format="onnx", quantize="int8")
    message = "`calibration` must be None without `quantize`. Received: images. Give quantize"
    refused(message, embedder, path, format="onnx", calibration=IMAGES)
    options = {"format": "onnx", "quantize": "int8", "calibration": IMAGES[:, :5]}
    refused(r"`calibration` must be numbers \[N, 24, 24, 3\]", embedder, path, **options)


@pytest.mark.tensorflow
def test_a_format_without_quantization(embedder, tmp_path):
    message = "`quantize` must be None for openvino. Received: quantize='int8'. It takes format='"
    refused(message, embedder, tmp_path / "a.xml", format="openvino", quantize="int8")


def test_a_wrong_shorter_side(embedder, tmp_path):
    message = "`shorter_side` must be an integer of 24 or more. Received: shorter_side=20. No crop"
    refused(message, embedder, tmp_path / "a.onnx", format=ANY, shorter_side=20)
