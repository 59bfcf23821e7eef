"""The commands: each takes its options and calls the library."""

import dataclasses

import numpy as np

from keras_proxygml import datasets, metrics
from keras_proxygml.checks import refuse
from keras_proxygml.cli import galleries, pages, printing, training
from keras_proxygml.datasets.decoding import why_unreadable
from keras_proxygml.datasets.folders import has_split
from keras_proxygml.training import fine_tune, open_run

CHECKED = 256  # images that an exported file is checked with


def train(options):
    """Trains an embedder, and makes a gallery and a report of it."""
    is_split = has_split(options.photos)
    seed = options.split_seed if is_split else options.split_seed or 0
    train, test = datasets.image_folder(options.photos, seed=seed)
    recipe = training.recipe_of(options, len(train.class_names))
    training.say_what_starts(options, train, test, recipe)
    split = "that of train/ and test/" if is_split else f"a random half of the classes, seed {seed}"
    fine_tune(
        train,
        test,
        backbone=options.backbone,
        weights=options.weights,
        recipe=recipe,
        output=options.output,
        seed=options.seed,
        split=split,
    )
    run = open_run(options.output)
    training.say_how_good_it_is(run)  # now, so that no later error looks like a failed training
    printing.stage(f"Indexing all images into {run.gallery_path} ...")
    with galleries.open_or_make_gallery(run) as gallery:
        galleries.add_files(gallery, datasets.class_folders(options.photos))
        galleries.calibrate_if_possible(gallery, run, options.false_accept_rate)
        try:
            pages.write(run, gallery, run.path / "report.html")
        except ImportError as error:  # of an extra; the training was not in vain
            printing.stage(f"No report: {error} Then: keras-proxygml report {run.path}")
    training.say_what_is_next(run)


def evaluate(options):
    """Prints the metrics of a run with intervals, on its test half or on other images."""
    run = open_run(options.run)
    files = _files_to_test(run, options)
    note = printing.counted(len(files), "image")
    if not options.json:
        printing.stage(f"Embedding {note} of {printing.counted(len(files.class_names), 'class')} …")
    embeddings, labels = _embed(run, files)
    found = metrics.confidence_intervals(metrics.query_results(embeddings, labels))
    if options.json:
        values = {name: dataclasses.asdict(interval) for name, interval in found.items()}
        classes = len(np.unique(labels))
        return printing.as_json({"images": len(labels), "classes": classes, "metrics": values})
    rows = [(name, f"{x.value:.3f}", f"{x.low:.3f} to {x.high:.3f}") for name, x in found.items()]
    printing.table(("metric", "value", "95% interval"), rows)


def _files_to_test(run, options):
    if options.photos is None:
        files = run.test_files()
    else:
        files = datasets.class_folders(options.photos)
        if not options.all_classes:
            files = _untrained(files, set(run.class_names))
    if len(files.class_names) < 2:
        hint = "Add images of such classes, or give --all-classes."
        allowed = "hold two classes or more that were not trained on"
        received = f"{options.photos or options.run} with {len(files.class_names)}"
        refuse("photos", allowed, received, hint)
    return files


def _untrained(files, trained):
    """The files of classes that were not trained on."""
    kept = [label for label, name in enumerate(files.class_names) if name not in trained]
    is_kept = np.isin(files.labels, kept)
    labels = np.searchsorted(kept, files.labels[is_kept])
    return datasets.ImageFiles(files.paths[is_kept], labels, [files.class_names[x] for x in kept])


def _embed(run, files):
    """Embeddings `[N, D]` and labels `[N]` of the images that can be read."""
    embeddings, labels = [], []
    for images, of_images in run.batches(files):
        if len(of_images):
            embeddings.append(run.embedder.predict_on_batch(images))
            labels.append(of_images)
    if not labels:
        refuse("photos", "hold images that can be read", "none", "Check the files.")
    return np.concatenate(embeddings), np.concatenate(labels)


def index(options):
    """Adds images to the gallery of a run, or updates and removes them."""
    run = open_run(options.run)
    if not (options.photos or options.remove or options.prune or options.calibrate):
        hint = "For instance: keras-proxygml index run more_photos"
        refuse("photos", "be given, or --remove, --prune or --calibrate", "none", hint)
    files = options.photos and galleries.files_of(options.photos, options.label, options.no_labels)
    with galleries.open_or_make_gallery(run) as gallery:
        removed = galleries.remove_paths(gallery, options.remove) if options.remove else 0
        removed += galleries.prune(gallery) if options.prune else 0
        if options.remove or options.prune:
            printing.stage(f"  {removed:,} removed. The gallery has {len(gallery):,} items.")
        if files:
            galleries.add_files(gallery, *files)
        if options.calibrate:
            galleries.calibrate(gallery, run, options.false_accept_rate)
        elif reason := galleries.outgrown(gallery):
            printing.stage(f"{reason} Run: keras-proxygml index {options.run} --calibrate")


def search(options):
    """Prints the items most similar to each query, and its class or that it is unknown."""
    run = open_run(options.run)
    with galleries.open_gallery(run) as gallery:
        threshold = gallery.threshold if options.threshold is None else options.threshold
        hits = _hits(gallery, options)
        rows = zip(options.query, hits.ids, hits.labels, hits.similarities, strict=True)
        found = [_answer(gallery, *row, threshold) for row in rows]
        notes = [] if options.threshold is not None else [galleries.outgrown(gallery)]
    if options.json:
        return printing.as_json(found)
    for answer in found:
        print(_sentence(answer))
        rows = [
            (f"{hit['similarity']:.3f}", hit["label"] or "-", printing.short(hit["id"]))
            for hit in answer["hits"]
        ]
        printing.table(("similarity", "label", "image"), rows)
    if threshold is None:
        notes = [
            "There is no threshold, so nothing is unknown. Give --threshold, or run: "
            f"keras-proxygml index {options.run} --calibrate"
        ]
    for note in filter(None, notes):
        printing.stage(note)


def _hits(gallery, options):
    k = min(options.k, len(gallery)) if len(gallery) else options.k
    try:
        return gallery.search(options.query, k)
    except ValueError:
        for path in options.query:
            if reason := why_unreadable(path):
                refuse("query", "be images", f"{path}, which cannot be read", reason)
        raise


def _answer(gallery, query, ids, labels, similarities, threshold):
    """One query's answer for JSON. `known` is null without a threshold."""
    hits = [
        {"id": i, "label": label, "similarity": float(similarity)}
        for i, label, similarity in zip(ids, labels, similarities, strict=True)
    ]
    best = next((hit for hit in hits if hit["label"] is not None), None)
    if best is None and len(hits) < len(gallery):
        best = _nearest_labeled(gallery, query)  # farther down, if there is one
    known = None if threshold is None else bool(best and best["similarity"] >= threshold)
    label = best["label"] if best and known is not False else None
    return {"query": query, "label": label, "known": known, "threshold": threshold, "hits": hits}


def _nearest_labeled(gallery, query):
    try:
        found = gallery.identify(query, threshold=1.0)
    except ValueError:  # no item has a label
        return None
    return {"label": found.nearest_labels[0], "similarity": float(found.similarities[0])}


def _sentence(answer):
    if answer["known"] is False:
        return f"{answer['query']}: unknown, below the threshold {answer['threshold']:.3f}"
    return f"{answer['query']}: {answer['label'] or 'no image with a label'}"


def report(options):
    """Writes the report, the model card and the projector's files of a run."""
    run = open_run(options.run)
    with galleries.open_gallery(run) as gallery:
        pages.write(run, gallery, options.output or run.path / "report.html")


def serve(options):
    """Serves the search page of a run until Ctrl-C."""
    from keras_proxygml.serve import serve

    run = open_run(options.run)
    with galleries.open_gallery(run) as gallery:
        serve(gallery, host=options.host, port=options.port, token=options.token)


def export(options):
    """Exports the embedder of a run, and compares the file with it."""
    from keras_proxygml.export import export
    from keras_proxygml.export.formats import FORMATS

    run = open_run(options.run)
    suffix = FORMATS[options.format].suffix if options.format in FORMATS else ""
    path = options.output or run.path / "exported" / f"{options.format}{suffix}"
    files = None if options.no_check else _some(run.test_files())
    side = run.description["shorter_side"]
    found = export(run.embedder, path, format=options.format, check=files, shorter_side=side)
    printing.stage(f"{found.path}, {found.size / 1e6:.1f} MB")
    if found.least_cosine is not None:
        printing.stage(
            f"In its own runtime, on {printing.counted(found.images, 'image')}: largest difference "
            f"{found.largest_difference:.2g}, least cosine {found.least_cosine:.6f}, "
            f"Recall@1 {found.recall_after:.3f} (before {found.recall_before:.3f})."
        )


def _some(files):
    """The first images of a few classes, without those that can't be read."""
    few = slice(0, CHECKED)
    first = datasets.ImageFiles(files.paths[few], files.labels[few], files.class_names)
    return datasets.readable_files(first)
