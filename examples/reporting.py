"""What `train_cars.py` prints at its end: the metrics, the files, the next step."""

WRITTEN = {
    "embedder.keras": "from RGB images of 0 to 255 to vectors, for Keras",
    "saved_model": "the same where only TensorFlow is installed",
    "results.json": "these metrics, and the arguments",
    "log.csv": "loss and metrics of each epoch",
    "tensorboard": "the same, for `tensorboard --logdir`",
    "run.json": "recipe, arguments, classes, split, image size and preprocessing",
    "images.csv": "which image is in which half and class",
    "backup": "the state from which the same command continues",
}


def report(output, result):
    """Prints the metrics before and after, what is in the output folder, and what to do next."""
    print_table({"before training": result.before, "after": result.metrics})
    print(f"\nIn {output}:")
    for name, description in WRITTEN.items():
        if (output / name).exists():
            print(f"  {name:16}{description}")
    print(f'\nNext, embed images with keras.models.load_model("{output / "embedder.keras"}") and')
    print("search among them: docs/your-images.md shows how, under Search.")


def print_table(rows, columns=("recall@1", "recall@8", "map@r", "nmi")):
    print("\nOn classes never trained on:")
    print(" " * 15 + "".join(f"{name:>10}" for name in columns))
    for title, metrics in rows.items():
        print(f"{title:15}" + "".join(f"{metrics[name]:10.3f}" for name in columns))
