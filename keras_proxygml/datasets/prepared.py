"""Image files from a data set that tensorflow-datasets prepared."""

import os
from pathlib import Path

from keras_proxygml.checks import refuse

# For each builder: the feature with the class, and the first class of the test half, or None
# if its own split is the zero-shot split.
BUILDERS = {
    "cars196": ("label", 98),
    "caltech_birds2011": ("label", 100),
    "stanford_online_products": ("class_id", None),
}


def unpack_prepared(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> None:
    """Writes a data set of tensorflow-datasets as image files, for the loaders of this package.

    The images are written unchanged, in `train/` and `test/` with a folder for each class and
    the zero-shot split. `cars196(directory)`, `cub200(directory)` or
    `stanford_online_products(directory)` then reads them. Nothing is downloaded.

    Args:
        source: Folder of the prepared version of `cars196`, `caltech_birds2011` or
            `stanford_online_products`, such as `~/tensorflow_datasets/cars196/2.1.0`.
        directory: Folder to write to, new or empty.

    Raises:
        ImportError: If tensorflow-datasets is missing.
        FileNotFoundError: If there is nothing prepared in the source.
        FileExistsError: If the directory is not empty.
        ValueError: If it is another data set.
    """
    tfds = _tensorflow_datasets()
    source, directory = Path(source).expanduser(), Path(directory).expanduser()
    if not (source / "dataset_info.json").is_file():
        refuse(
            "source",
            "hold a prepared data set",
            f"{source}, which has no dataset_info.json",
            "Give the folder of the version that download_and_prepare() of tensorflow-datasets "
            "wrote.",
            error=FileNotFoundError,
        )
    if directory.exists() and any(directory.iterdir()):
        received = f"{directory}, which is not empty"
        refuse("directory", "be new or empty", received, error=FileExistsError)
    builder = tfds.builder_from_directory(source)
    if builder.name not in BUILDERS:
        refuse(
            "source",
            f"hold one of {', '.join(BUILDERS)}",
            f"{source}, which holds {builder.name!r}",
            "Write the images of other data sets into class folders, for `image_folder`.",
        )
    feature, first_test_class = BUILDERS[builder.name]
    encoded = {"image": tfds.decode.SkipDecoding()}
    for part in builder.info.splits:
        examples = builder.as_dataset(split=part, decoders=encoded).as_numpy_iterator()
        for number, example in enumerate(examples):
            label = int(example[feature])
            half = part
            if first_test_class is not None:
                half = "train" if label < first_test_class else "test"
            folder = directory / half / str(label)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{part}_{number:05}.jpg").write_bytes(example["image"])


def _tensorflow_datasets():
    """Imports tensorflow-datasets, or says how to get it."""
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise ImportError(
            "Reading a data set of tensorflow-datasets takes that package, which is not installed. "
            " Run `pip install tensorflow-datasets`."
        ) from error
    return tensorflow_datasets
