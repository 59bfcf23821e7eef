"""Writes state dicts as PyTorch does, without PyTorch, byte by byte."""

import pickle
import struct
import sys
import zipfile

TYPES = {"f2": "HalfStorage", "f4": "FloatStorage", "f8": "DoubleStorage", "i8": "LongStorage"}
EMPTY_DICT = b"ccollections\nOrderedDict\n)R"


def _text(text):
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def _python_2_text(text):
    return b"U" + struct.pack("<B", len(text)) + text.encode()


def number(value):
    return b"J" + struct.pack("<i", value)


def numbers(values):
    return b"(" + b"".join(number(value) for value in values) + b"t"


def _tensor(key, array, legacy):
    text = _python_2_text if legacy else _text
    storage_type = TYPES[array.dtype.str[1:]].encode()
    rebuild = b"_rebuild_tensor" if legacy else b"_rebuild_tensor_v2"
    # persistent id: 'storage', its type, its key, its device, how many numbers, and once: a view
    storage = b"(" + text("storage") + b"ctorch\n" + storage_type + b"\n" + text(key) + text("cpu")
    storage += number(array.size) + (b"N" if legacy else b"") + b"tQ"
    strides = [stride // array.itemsize for stride in array.strides]
    arguments = b"(" + storage + number(0) + numbers(array.shape) + numbers(strides)
    arguments += (b"" if legacy else b"\x89" + EMPTY_DICT) + b"t"
    return b"ctorch._utils\n" + rebuild + b"\n" + arguments + b"R"


def pickled(state, legacy=False):
    """The pickle of a state dict, its tensors' keys being 0, 1, …"""
    text = _python_2_text if legacy else _text
    items = (text(n) + _tensor(str(i), a, legacy) + b"s" for i, (n, a) in enumerate(state.items()))
    return b"\x80\x02" + EMPTY_DICT + b"".join(items) + b"."


def write_zip(path, state, index=None):
    """As since PyTorch 1.6. `index` replaces the pickle."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled(state) if index is None else index)
        for i, array in enumerate(state.values()):
            archive.writestr(f"archive/data/{i}", array.tobytes())
        archive.writestr("archive/version", "3\n")


def write_legacy(path, state, index=None):
    """As before PyTorch 1.6, from Python 2 and PyTorch 0.3. `index` replaces the pickle."""
    machine = {"protocol_version": 1001, "little_endian": sys.byteorder == "little"}
    with path.open("wb") as file:
        for header in (0x1950A86A20F9469CFC6C, 1001, machine):
            pickle.dump(header, file, protocol=2)
        file.write(pickled(state, legacy=True) if index is None else index)
        pickle.dump([str(i) for i in range(len(state))], file, protocol=2)
        for array in state.values():
            file.write(struct.pack("<q", array.size) + array.tobytes())


WRITERS = [write_zip, write_legacy]
