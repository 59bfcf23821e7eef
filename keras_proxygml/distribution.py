"""Proxies sharded over several devices."""

import keras

from keras_proxygml.checks import check_choice, refuse


def proxy_layout(
    device_mesh: keras.distribution.DeviceMesh,
    axis: str = "model",
    *,
    num_classes: int | None = None,
) -> keras.distribution.LayoutMap:
    """Makes the layout of a model with proxies sharded by class and all other weights replicated.

    Each of the P devices along the axis holds the proxies (every weight named `proxies`) of C / P
    classes. Keras gives the variables of an optimizer the layout of the weight that they belong
    to, so Adam's two moments are sharded in the same way. The results do not change.

    Keras asks for a weight's layout when it makes the weight. So set the distribution before you
    build the model. Only the JAX backend uses layouts.

    Args:
        device_mesh: A `keras.distribution.DeviceMesh`.
        axis: Name of the axis of the mesh to shard along. Batches may be sharded along the same
            axis.
        num_classes: C, to check here that it can be sharded evenly. With `None`, JAX raises its own
            error when the proxies are made.

    Returns:
        A `keras.distribution.LayoutMap`, for `keras.distribution.ModelParallel`. You may add
        layouts of other weights.

    Raises:
        RuntimeError: If the backend is not JAX.
        ValueError: If the mesh has no such axis, or its size does not divide `num_classes`.

    Reference:
        An et al., 2022, arXiv 2203.15565, whose class centers are distributed over GPUs like this.
    """
    if keras.backend.backend() != "jax":
        raise RuntimeError(
            f"Keras's backend must be 'jax', the only one on which Keras shards weights. Received: "
            f"{keras.backend.backend()!r}. Set KERAS_BACKEND=jax before Keras is imported. "
            f"(TensorFlow trains copies of a model on the devices of one machine by "
            f"tf.distribute.MirroredStrategy.)"
        )
    check_choice("axis", axis, device_mesh.axis_names)
    devices = device_mesh.shape[list(device_mesh.axis_names).index(axis)]
    if num_classes is not None and num_classes % devices:
        refuse(
            "num_classes",
            f"be a multiple of the {devices} devices of the axis {axis!r}",
            f"num_classes={num_classes}",
            f"Give this function and the proxy layer {num_classes + -num_classes % devices} "
            f"classes, the last of which stay without samples.",
        )
    layout = keras.distribution.LayoutMap(device_mesh)
    layout[r"(.*/)?proxies"] = (axis, None, None)  # [C, N, D]
    return layout
