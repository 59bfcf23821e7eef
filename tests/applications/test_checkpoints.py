"""PyTorch checkpoints: read by name, refused by name, and never executed."""

import os
import pickle
import re

import keras
import numpy as np
import pytest
from torch_files import EMPTY_DICT, WRITERS, number, numbers, pickled, write_legacy, write_zip

from keras_proxygml import ProxySimilarity
from keras_proxygml.applications import load_pytorch_weights


def small_model(embedding=True):
    inputs = keras.Input((5, 5, 3))
    x = keras.layers.Conv2D(4, 3, name="conv")(inputs)
    x = keras.layers.BatchNormalization(name="conv_bn")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    if embedding:
        x = keras.layers.Dense(2, name="embedding")(x)
    return keras.Model(inputs, ProxySimilarity(6, name="head")(x), name="small")


def small_state(embedding=True):
    rng = np.random.default_rng(0)
    shapes = {"conv.weight": (4, 3, 3, 3), "conv.bias": (4,)}
    shapes |= {f"conv_bn.{n}": (4,) for n in ("weight", "bias", "running_mean", "running_var")}
    if embedding:
        shapes |= {"embedding.weight": (2, 4), "embedding.bias": (2,)}
    return {name: rng.normal(size=shape).astype("float32") for name, shape in shapes.items()}


def assert_loaded(model, state):
    conv, norm = model.get_layer("conv"), model.get_layer("conv_bn")
    kernel = np.transpose(state["conv.weight"], (2, 3, 1, 0))
    np.testing.assert_array_equal(conv.get_weights()[0], kernel)
    np.testing.assert_array_equal(conv.get_weights()[1], state["conv.bias"])
    names = ("weight", "bias", "running_mean", "running_var")  # Keras's order, too
    for ours, name in zip(norm.get_weights(), names, strict=True):
        np.testing.assert_array_equal(ours, state[f"conv_bn.{name}"].reshape(4))


@pytest.mark.parametrize("write", WRITERS)
def test_reads_both_formats(tmp_path, write):
    model, state = small_model(), small_state()
    proxies = model.get_layer("head").get_weights()[0]
    state["conv_bn.num_batches_tracked"] = np.array(7)
    write(tmp_path / "small.pth", state)
    load_pytorch_weights(model, tmp_path / "small.pth")
    assert_loaded(model, state)
    kernel, bias = model.get_layer("embedding").get_weights()
    np.testing.assert_array_equal(kernel, state["embedding.weight"].T)
    np.testing.assert_array_equal(bias, state["embedding.bias"])
    np.testing.assert_array_equal(model.get_layer("head").get_weights()[0], proxies)


@pytest.mark.parametrize("write", WRITERS)
def test_batch_norm_rows_of_the_older_file(tmp_path, write):
    model, state = small_model(), small_state()
    rows = {n: v[None] if n.startswith("conv_bn.") else v for n, v in state.items()}
    assert rows["conv_bn.running_var"].shape == (1, 4)
    write(tmp_path / "old.pth", rows)
    load_pytorch_weights(model, str(tmp_path / "old.pth"))
    assert_loaded(model, state)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_floats(tmp_path, dtype):
    model, state = small_model(), small_state()
    state = {name: value.astype("float16").astype("float32") for name, value in state.items()}
    write_zip(tmp_path / "small.pth", {n: v.astype(dtype) for n, v in state.items()})
    load_pytorch_weights(model, tmp_path / "small.pth")
    assert_loaded(model, state)


def test_strides(tmp_path):
    # As after .to(memory_format=torch.channels_last): the numbers lie in another order.
    model, state = small_model(), small_state()
    kernel = state["conv.weight"]
    state["conv.weight"] = np.ascontiguousarray(kernel.transpose(0, 2, 3, 1))
    was = numbers([4, 3, 3, 3]) + numbers([27, 9, 3, 1])
    assert was in pickled(state)
    index = pickled(state).replace(was, numbers([4, 3, 3, 3]) + numbers([27, 1, 9, 3]))
    write_zip(tmp_path / "small.pth", state, index=index)
    load_pytorch_weights(model, tmp_path / "small.pth")
    assert_loaded(model, {**state, "conv.weight": kernel})


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("theirs", ["embedding", "last_linear", "fc", None])
def test_heads_may_differ(tmp_path, ours, theirs):
    model, state = small_model(embedding=ours), small_state(embedding=False)
    if theirs:
        rng = np.random.default_rng(1)
        state[f"{theirs}.weight"] = rng.normal(size=(2, 4)).astype("float32")
        state[f"{theirs}.bias"] = np.array([3, 4], "float32")
    before = model.get_layer("embedding").get_weights()[1] if ours else None
    write_zip(tmp_path / "small.pth", state)
    load_pytorch_weights(model, tmp_path / "small.pth")
    assert_loaded(model, state)
    if ours:
        expected = [3, 4] if theirs == "embedding" else before
        np.testing.assert_array_equal(model.get_layer("embedding").get_weights()[1], expected)


def test_what_does_not_fit_is_listed_and_nothing_changes(tmp_path):
    model, state = small_model(), small_state()
    before = model.get_weights()
    del state["conv.bias"], state["embedding.bias"]
    state["conv2.weight"] = state["embedding.extra"] = np.zeros(3, "float32")
    state["conv_bn.weight"] = np.zeros(5, "float32")
    state["embedding.weight"] = np.zeros((4, 2), "float32")
    state["conv.weight"] = np.zeros((4, 3, 2, 3), "float32")
    write_zip(tmp_path / "other.pth", state)
    message = (
        "other.pth, with entries that are missing: conv.bias, embedding.bias; "
        "unexpected: conv2.weight, embedding.extra; "
        "of another shape: conv.weight [4, 3, 2, 3] for [4, 3, 3, 3], conv_bn.weight [5] for [4], "
        "embedding.weight [4, 2] for [2, 4]. Give"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        load_pytorch_weights(model, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="must be a checkpoint that fits small, which is left as"):
        load_pytorch_weights(model, tmp_path / "other.pth")
    for ours, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_long_list_is_cut(tmp_path):
    state = small_state() | {f"layer{i}.weight": np.zeros(1, "float32") for i in range(30)}
    write_zip(tmp_path / "other.pth", state)
    with pytest.raises(ValueError, match=r"layer19\.weight and 10 more\. Give the checkpoint"):
        load_pytorch_weights(small_model(), tmp_path / "other.pth")


class Command:
    """What it unpickles to is the result of a command."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"echo run > {self.path}",)


@pytest.mark.parametrize("write", WRITERS)
def test_a_command_is_refused_and_not_executed(tmp_path, write):
    trace = tmp_path / "trace"
    payload = pickle.dumps({"conv.weight": Command(trace)}, protocol=2)
    pickle.loads(payload)
    assert trace.exists()  # so the payload is real
    trace.unlink()
    write(tmp_path / "bad.pth", {}, index=payload)
    with pytest.raises(ValueError, match=r"asks for (posix|nt)\.system, which is refused"):
        load_pytorch_weights(small_model(), tmp_path / "bad.pth")
    assert not trace.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [("builtins", "eval"), ("torch", "load"), ("torch._utils", "__builtins__"), ("numpy", "load")],
)
def test_other_names_are_refused(tmp_path, module, name):
    index = f"c{module}\n{name}\n.".encode()
    write_zip(tmp_path / "bad.pth", {}, index=index)
    with pytest.raises(ValueError, match=f"asks for {module}.{name}, which is refused"):
        load_pytorch_weights(small_model(), tmp_path / "bad.pth")


def test_tensors_outside_of_their_storage(tmp_path):
    state = {"conv.bias": np.zeros(4, "float32")}
    placed = number(0) + numbers([4])  # offset and shape; the strides follow
    changes = [
        (placed, number(2) + numbers([4])),
        (placed, number(-1) + numbers([4])),
        (placed, number(0) + numbers([5])),
        (placed + numbers([1]), placed + numbers([2])),
        (placed + numbers([1]), placed + numbers([-1])),
    ]
    for was, now in changes:
        index = pickled(state).replace(was, now)
        assert index != pickled(state)
        write_zip(tmp_path / "bad.pth", state, index=index)
        with pytest.raises(ValueError, match=r"must be a PyTorch state dict\. Received: "):
            load_pytorch_weights(small_model(), tmp_path / "bad.pth")


def test_bytes_are_not_read_as_addresses(tmp_path):
    state = {"conv.bias": np.zeros(4, "float64")}
    index = pickled(state).replace(b"ctorch\nDoubleStorage\n", b"U\x01O")
    write_zip(tmp_path / "bad.pth", state, index=index)
    with pytest.raises(ValueError, match="it holds a tensor of 'O'"):
        load_pytorch_weights(small_model(), tmp_path / "bad.pth")


def test_files_that_hold_no_state_dict(tmp_path):
    path = tmp_path / "bad.pth"
    with pytest.raises(FileNotFoundError):
        load_pytorch_weights(small_model(), path)
    small_model().save(tmp_path / "small.keras")
    with pytest.raises(ValueError, match=r"it is a zip file without PyTorch's data\.pkl"):
        load_pytorch_weights(small_model(), tmp_path / "small.keras")
    whole = pickle.dumps({"epoch": 3, "state_dict": {}}, protocol=2)
    write_zip(path, {}, index=whole)
    with pytest.raises(ValueError, match="it holds a value of type int that is no tensor"):
        load_pytorch_weights(small_model(), path)
    path.write_bytes(pickle.dumps(5))
    with pytest.raises(ValueError, match="neither a zip file nor starts with PyTorch's number"):
        load_pytorch_weights(small_model(), path)
    write_legacy(path, small_state())
    path.write_bytes(path.read_bytes()[:-4])  # cut short
    with pytest.raises(ValueError, match=r"must be a PyTorch state dict\. Received: "):
        load_pytorch_weights(small_model(), path)
    for broken in (b"", b"PK\x03\x04", EMPTY_DICT):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match=r"must be a PyTorch state dict\. Received: "):
            load_pytorch_weights(small_model(), path)


@pytest.mark.parametrize("is_zip", [True, False])
def test_files_that_pytorch_writes(tmp_path, is_zip):
    torch = pytest.importorskip("torch")
    layers = {"conv": torch.nn.Conv2d(3, 4, 3), "conv_bn": torch.nn.BatchNorm2d(4)}
    module = torch.nn.ModuleDict(layers).to(memory_format=torch.channels_last)
    path = tmp_path / "torch.pth"
    torch.save(module.state_dict(), path, _use_new_zipfile_serialization=is_zip)
    model = small_model(embedding=False)
    load_pytorch_weights(model, path)
    assert_loaded(model, {n: v.numpy() for n, v in module.state_dict().items()})
    ours = torch.nn.ModuleDict({"inner": torch.nn.Linear(2, 2)})
    torch.save(ours, path, _use_new_zipfile_serialization=is_zip)
    with pytest.raises(
        ValueError, match=r"asks for torch\.nn\.modules\.container\.ModuleDict|is no"
    ):
        load_pytorch_weights(model, path)


def test_pytorch_reads_our_files(tmp_path):
    torch = pytest.importorskip("torch")
    state = small_state()
    for write in WRITERS:
        write(tmp_path / "small.pth", state)
        theirs = torch.load(tmp_path / "small.pth", weights_only=True)
        assert list(theirs) == list(state)
        for name, value in theirs.items():
            np.testing.assert_array_equal(value.numpy(), state[name])
