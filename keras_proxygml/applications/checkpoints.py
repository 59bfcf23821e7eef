"""Reads PyTorch checkpoints without PyTorch, and without executing what they say."""

import collections
import io
import os
import pickle
import struct
import zipfile
from pathlib import Path

import keras
import numpy as np

from keras_proxygml.checks import refuse

STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
}
# Keras's axes as PyTorch orders them: vectors `[C]`, matrices `[O, I]`, kernels `[O, I, H, W]`.
PYTORCH_ORDER = {1: (0,), 2: (1, 0), 4: (3, 2, 0, 1)}
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
# The layers on top of a backbone: the file and the model may each have their own.
HEADS = ("embedding", "fc", "last_linear")

Tensor = collections.namedtuple("Tensor", ["dtype", "key", "offset", "shape", "strides"])


def load_pytorch_weights(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Gives a model the weights of a PyTorch checkpoint. They are matched by name.

    A layer `name` takes the entries `name.weight` and `name.bias`. A batch normalization also takes
    `name.running_mean` and `name.running_var`. Its vectors are `[C]`, or `[1, C]` as in the older
    of the published BN-Inception files. Nothing changes unless all entries fit.

    The head may differ. Entries of `embedding`, `fc` or `last_linear` are left out if the model has
    no such layer: the published files end in the classifier of ImageNet. Such a layer keeps its
    values if the file has no entries for it.

    The file is read as data. No PyTorch is needed, and nothing in the file is executed. A file that
    names anything besides the parts of a state dict is refused.

    Args:
        model: A built `keras.Model` whose `Conv2D`, `Dense` and `BatchNormalization` layers have
            the names of the checkpoint, such as `BNInception`. Other layers keep their values.
        path: A file that `torch.save(module.state_dict(), path)` wrote, in the zip format or in
            the format before PyTorch 1.6. Its numbers are float16, float32 or float64.

    Raises:
        ValueError: If the file is no such state dict, or holds anything but tensors. Also if
            entries are missing, unexpected or of another shape. The message lists them.
        FileNotFoundError: If there is no such file.

    Reference:
        `bninception` in `net/bninception.py` of the official ProxyGML code, which drops
        entries that do not match without a warning; `torch/serialization.py` for the two formats.
    """
    variables = dict(_variables_of(model))
    entries = _read_state_dict(Path(path))
    values, wrong = {}, []
    for name in variables.keys() & entries.keys():
        shape, theirs = variables[name].shape, entries[name]
        allowed = [shape[axis] for axis in PYTORCH_ORDER[len(shape)]]
        if list(theirs.shape) == [1, *allowed]:
            theirs = theirs[0]
        if list(theirs.shape) == allowed:
            values[name] = theirs.transpose(np.argsort(PYTORCH_ORDER[len(shape)]))
        else:
            wrong.append(f"{name} {list(theirs.shape)} for {allowed}")
    problems = {
        "missing": _unmatched(variables, entries),
        "unexpected": _unmatched(entries, variables),
        "of another shape": sorted(wrong),
    }
    if any(problems.values()):
        lists = "; ".join(f"{what}: {_listed(names)}" for what, names in problems.items() if names)
        refuse(
            "path",
            f"be a checkpoint that fits {model.name}, which is left as it was",
            f"{path}, with entries that are {lists}",
            "Give the checkpoint of this network, or rename its entries to the layers' names.",
        )
    for name, value in values.items():
        variables[name].assign(value)


def _variables_of(model):
    """The model's variables under the names that PyTorch gives them."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            names = {
                "weight": layer.gamma,
                "bias": layer.beta,
                "running_mean": layer.moving_mean,
                "running_var": layer.moving_variance,
            }
        elif isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            names = {"weight": layer.kernel, "bias": layer.bias}
        else:
            continue
        for name, variable in names.items():
            if variable is not None:
                yield f"{layer.name}.{name}", variable


def _unmatched(names, others):
    stems = {_stem(name) for name in others}
    foreign_heads = set(HEADS) - stems
    return [name for name in names if name not in others and _stem(name) not in foreign_heads]


def _stem(name):
    return name.rpartition(".")[0]


def _listed(names, most=20):
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def _read_state_dict(path):
    """Arrays by name, without the counters that PyTorch's batch normalization keeps."""
    with path.open("rb") as file:
        try:
            is_zip = file.read(4) == b"PK\x03\x04"
            file.seek(0)
            tensors, storages = _read_zip(file) if is_zip else _read_legacy(file)
            return {
                name: _array(tensor, storages)
                for name, tensor in tensors.items()
                if not name.endswith(".num_batches_tracked")
            }
        # A broken or hostile pickle may raise anything.
        except Exception as error:
            refuse(
                "path",
                "be a PyTorch state dict",
                f"{path}, which was read as data only: {error}",
                "Give a file that torch.save(module.state_dict(), path) wrote, in float16, float32 "
                "or float64.",
            )


def _read_zip(file):
    with zipfile.ZipFile(file) as archive:
        indices = [name for name in archive.namelist() if name.split("/")[1:] == ["data.pkl"]]
        if len(indices) != 1:
            raise pickle.UnpicklingError("it is a zip file without PyTorch's data.pkl")
        unpickler = _Unpickler(io.BytesIO(archive.read(indices[0])))
        tensors = unpickler.load()
        folder = indices[0].removesuffix(".pkl")
        return tensors, {key: archive.read(f"{folder}/{key}") for key in unpickler.dtypes}


def _read_legacy(file):
    # Pickles, one after another: magic number, version, machine, state dict, keys of the storages.
    # Then, for each key, the count of numbers and the numbers.
    if _Unpickler(file).load() != LEGACY_MAGIC:
        raise pickle.UnpicklingError("it is neither a zip file nor starts with PyTorch's number")
    _version, _machine = _Unpickler(file).load(), _Unpickler(file).load()
    unpickler = _Unpickler(file)
    tensors = unpickler.load()
    storages = {}
    for key in _Unpickler(file).load():
        (count,) = struct.unpack("<q", file.read(8))
        storages[key] = file.read(count * np.dtype(unpickler.dtypes[key]).itemsize)
    return tensors, storages


class _Unpickler(pickle.Unpickler):
    """Makes dicts, lists, strings, numbers and `Tensor`s, and nothing else."""

    def __init__(self, file):
        super().__init__(file, encoding="utf-8")  # Python 2 wrote the published file
        self.dtypes = {}  # of each storage that the tensors ask for

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch._utils" and name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
            return self._tensor
        if module in ("torch", "torch.cuda") and name in STORAGES:
            return STORAGES[name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is refused")

    def persistent_load(self, identity):
        kind, dtype, key, _device, _count, *view = identity
        if kind != "storage" or any(view):
            raise pickle.UnpicklingError(f"it holds a {kind} that is no whole storage")
        self.dtypes[key] = dtype
        return dtype, key

    # Bound to the unpickler, so that a pickle finds no function of ours to set attributes on.
    def _tensor(self, storage, offset, shape, strides, *_unused):
        return Tensor(*storage, offset, shape, strides)


def _array(tensor, storages):
    if not isinstance(tensor, Tensor):
        raise TypeError(f"it holds a value of type {type(tensor).__name__} that is no tensor")
    # A pickle may give any string here, even the one that makes NumPy read bytes as addresses.
    if tensor.dtype not in STORAGES.values():
        raise TypeError(f"it holds a tensor of {tensor.dtype!r}")
    dtype = np.dtype(tensor.dtype)
    strides = [stride * dtype.itemsize for stride in tensor.strides]
    # NumPy refuses a tensor that reaches outside of the buffer.
    return np.ndarray(
        tensor.shape, dtype, storages[tensor.key], tensor.offset * dtype.itemsize, strides
    )
