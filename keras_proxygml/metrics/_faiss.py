"""An index by the name that faiss's `index_factory` gives it, trained and empty."""

from keras_proxygml.checks import refuse


def trained_index(factory, settings, sample, size, settings_name="search"):
    """A faiss index for inner products.

    Args:
        factory: What `index_factory` takes, such as `"IVF4096,Flat"` or `"HNSW32"`.
        settings: Settings of its search, such as `"nprobe=32"`, or "".
        sample: A function that takes a number of vectors and returns so many items or fewer, to
            train with. `[n, D]`, float32.
        size: How many items there are.
        settings_name: What the caller's argument for `settings` is called.

    Returns:
        The index.

    Raises:
        ValueError: If faiss refuses the index or the settings.
    """
    import faiss

    dims = sample(1).shape[1]
    try:
        index = faiss.index_factory(dims, factory, faiss.METRIC_INNER_PRODUCT)
        if not index.is_trained:
            index.train(sample(_needed(index)))
        if settings:
            faiss.ParameterSpace().set_index_parameters(index, settings)
    except RuntimeError as error:
        refuse(
            "index",
            f"be an index that faiss can make of {size} items of {dims} numbers, with settings it "
            "has",
            f"index={factory!r}, {settings_name}={settings!r}",
            f"faiss says: {error} See faiss's wiki, 'The index factory'.",
        )
    return index


def _needed(index, least=2**16, per_list=64):
    """How many vectors suffice to train an index."""
    import faiss

    ivf = faiss.try_extract_index_ivf(index)
    return max(least, per_list * ivf.nlist if ivf else 0)
