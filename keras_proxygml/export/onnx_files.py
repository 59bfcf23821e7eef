"""ONNX files: what tf2onnx lacks, a look at the operations, and 8 bits by onnxruntime."""

import functools
from pathlib import Path

import numpy as np

from keras_proxygml.checks import refuse


@functools.cache
def teach_tf2onnx():
    """Adds an operation to tf2onnx: TensorFlow 2.21 computes the exact GELU of ViTs with erfc."""
    from tf2onnx import utils
    from tf2onnx.handler import tf_op

    @tf_op("Erfc")
    class Erfc:
        @classmethod
        def version_9(cls, graph, node, **_):
            like = {"shapes": node.output_shapes, "dtypes": node.output_dtypes}
            graph.remove_node(node.name)
            erf = graph.make_node("Erf", node.input, **like)
            dtype = utils.map_onnx_to_numpy_type(like["dtypes"][0])
            one = graph.make_const(utils.make_name("one"), np.array(1, dtype))
            inputs = [one.output[0], erf.output[0]]
            graph.make_node("Sub", inputs, outputs=node.output, name=node.name, **like)


def give_constants(path, model):
    """Puts constants into a file of tf2onnx, which makes inputs of tensors that layers hold.

    KerasHub's ViT holds the numbers of its positions in such a tensor, for instance.

    Args:
        path: The ONNX file.
        model: The model that it was made of.
    """
    import onnx
    import tensorflow as tf

    written = onnx.load(str(path))
    inputs = {x.name: x for x in written.graph.input if x.name != model.inputs[0].name}
    if not inputs:
        return
    used = {name for node in written.graph.node for name in node.input}
    (images,) = model.inputs
    signature = [tf.TensorSpec(images.shape, images.dtype, name=images.name)]
    traced = tf.function(functools.partial(model.__call__, training=False), autograph=False)
    for value, place in traced.get_concrete_function(*signature).graph.captures:
        if place.name in inputs:
            written.graph.input.remove(inputs[place.name])
        if place.name in inputs and place.name in used:
            constant = onnx.numpy_helper.from_array(value.numpy(), place.name)
            written.graph.initializer.append(constant)
    onnx.save(written, str(path))


def check_operations(path: Path) -> None:
    """Raises if a file holds operations that ONNX does not have.

    tf2onnx keeps TensorFlow's operations that it does not know.

    Args:
        path: The ONNX file.

    Raises:
        ValueError: If there is such an operation.
    """
    import onnx

    try:
        onnx.checker.check_model(str(path))
    except onnx.checker.ValidationError as error:
        refuse(
            "embedder",
            "consist of operations that ONNX has",
            str(error).splitlines()[0],
            "Export it to another format, or from another backend.",
        )


def quantize(source, target, calibration):
    """Quantizes weights and activations of an ONNX file to 8 bits with onnxruntime.

    Args:
        source: Path of the file in float32.
        target: Where to write.
        calibration: A function that gives an iterator of images `[1, ...]`.
    """
    from onnxruntime import quantization

    prepared = str(source.with_name("prepared.onnx"))
    # This merges batch normalizations into convolutions.
    quantization.quant_pre_process(str(source), prepared, skip_symbolic_shape=True)
    reader = _reader(prepared, calibration)
    quantization.quantize_static(prepared, str(target), reader, per_channel=True)


def _reader(path, calibration):
    """Makes the reader of calibration images that onnxruntime wants."""
    import onnxruntime
    from onnxruntime.quantization import CalibrationDataReader

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.images = calibration()

        def get_next(self):
            image = next(self.images, None)
            return None if image is None else {name: image}

    return Reader()
