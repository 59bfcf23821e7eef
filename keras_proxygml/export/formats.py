"""The formats: how their files end, what writes them, and what runs them."""

import dataclasses
import importlib.util
from collections.abc import Mapping

import keras

from keras_proxygml.checks import check_choice, refuse


@dataclasses.dataclass(frozen=True)
class Format:
    """A format that an embedder can be exported to.

    Attributes:
        suffix: How the path ends, or "" for a folder.
        writers: From each backend that can write the format to the packages that this takes.
        runtime: Package that runs the file.
        takes_int8: Whether `quantize="int8"` is supported.
        takes_half: Whether embedders of mixed precision can be written.
    """

    suffix: str
    writers: Mapping[str, tuple[str, ...]]
    runtime: str
    takes_int8: bool = False
    takes_half: bool = True


FORMATS = {
    "saved_model": Format(
        "", {"tensorflow": ("tensorflow",), "jax": ("tensorflow",)}, "tensorflow"
    ),
    "onnx": Format(
        ".onnx",
        {"tensorflow": ("tf2onnx", "onnx"), "jax": ("jax2onnx",), "torch": ("onnx",)},
        "onnxruntime",
        takes_int8=True,
        takes_half=False,
    ),
    "openvino": Format(".xml", {"tensorflow": ("openvino",), "torch": ("openvino",)}, "openvino"),
    "litert": Format(".tflite", {"tensorflow": ("tensorflow",)}, "ai_edge_litert", takes_int8=True),
}
# What to install for these packages. For the others it is the extra `export`.
SOURCES = {"tensorflow": "'keras-proxygml[tensorflow]'", "jax2onnx": "jax2onnx"}


def check_format(format: str, *, checks: bool, quantize: str | None) -> Format:
    """Checks that a format is known and can be written, run and quantized here.

    Args:
        format: Name of the format.
        checks: Whether the file is to be run.
        quantize: "int8" or None.

    Returns:
        The format.

    Raises:
        ValueError: If the format is unknown, or the backend or the format does not do this.
        ImportError: If a package is missing.
    """
    check_choice("format", format, FORMATS)
    known, backend = FORMATS[format], keras.backend.backend()
    if backend not in known.writers:
        here = [name for name, other in FORMATS.items() if backend in other.writers]
        refuse(
            "format",
            f"be one that the backend {backend} can write: {', '.join(here)}",
            f"format={format!r}",
            f"The backend {' or '.join(known.writers)} writes it. Save the embedder as a .keras "
            "file, and load it with that backend.",
        )
    check_choice("quantize", quantize, (None, "int8"))
    if quantize and not known.takes_int8:
        able = [repr(name) for name, other in FORMATS.items() if other.takes_int8]
        allowed = f"be None for {format}"
        hint = f"It takes format={' or '.join(able)}."
        refuse("quantize", allowed, f"quantize={quantize!r}", hint)
    _check_packages(
        format, [*known.writers[backend], *[known.runtime] * (checks or bool(quantize))]
    )
    return known


def _check_packages(format, packages):
    missing = [name for name in dict.fromkeys(packages) if importlib.util.find_spec(name) is None]
    if missing:
        sources = dict.fromkeys(SOURCES.get(x, "'keras-proxygml[export]'") for x in missing)
        refuse(
            "format",
            "be one whose packages are installed",
            f"format={format!r}, without {' and '.join(missing)}",
            f"Run `pip install {' '.join(sources)}`.",
            error=ImportError,
        )
