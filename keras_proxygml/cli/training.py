"""What `train` does before and after `fine_tune`."""

import dataclasses
import difflib
import json

from keras_proxygml.checks import refuse
from keras_proxygml.cli import printing
from keras_proxygml.training import RECIPES
from keras_proxygml.training.backbones import starts_at_random

SHOWN = ("recall@1", "recall@8", "map@r", "nmi")
# A sample is compared with the proxies of so many classes. The paper's 0.05 of 98 classes is 5.
FEWEST, USUAL = 2, 5
SMALL_SIZE = 96  # pixels, for the network that learns from scratch in minutes


def recipe_of(options, classes):
    """The recipe that the options name, with their changes, for so many classes to train on."""
    at_random = starts_at_random(options.backbone, options.weights)
    name = (options.recipe or ("from_scratch" if at_random else "fine_tune")).replace("-", "_")
    if name not in RECIPES:
        near = difflib.get_close_matches(name, RECIPES, 1)
        hint = f"Did you mean {near[0]}?" if near else ""
        refuse("--recipe", f"be one of {', '.join(RECIPES)}", options.recipe, hint)
    recipe = RECIPES[name]
    changes = {"epochs": options.epochs, "batch_size": options.batch_size}
    changes["image_size"] = options.image_size
    if options.backbone == "small" and recipe.image_size is None:
        changes["image_size"] = options.image_size or SMALL_SIZE
    if recipe.ratio * classes < FEWEST:
        changes["ratio"] = min(1.0, USUAL / classes)
    changes = {name: value for name, value in changes.items() if value is not None}
    return recipe.replace(**changes | _settings(options.set, recipe))


def _settings(pairs, recipe):
    """The pairs of --set as values of the types that the recipe has."""
    settings = {}
    for name, text in pairs:
        name = name.replace("-", "_")
        known = [field.name for field in dataclasses.fields(recipe)]
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"Did you mean {near[0]}?" if near else f"Known are {', '.join(known)}."
            refuse("--set", "name a number of the recipe", f"{name}={text}", hint)
        try:
            settings[name] = json.loads(text)
        except json.JSONDecodeError:
            settings[name] = text
    return settings


def say_what_starts(options, train, test, recipe):
    """Says what is trained on what."""
    halves = [
        f"{printing.counted(len(files), 'image')} of "
        f"{printing.counted(len(files.class_names), 'class')}"
        for files in (train, test)
    ]
    printing.stage(f"Training on {halves[0]}, testing on {halves[1]}.")
    printing.stage(
        f"Backbone {options.backbone}, recipe {recipe.name}, {recipe.epochs} epochs, "
        f"{recipe.image_size or 'its own'} pixels, ratio {recipe.ratio:.3g}. "
        f"Results go to {options.output}."
    )
    if starts_at_random(options.backbone, options.weights):
        printing.stage(
            "The backbone starts at random. A trained one is much better: --backbone FILE.keras, "
            "or --backbone EfficientNetV2B0 --weights imagenet, which downloads its weights."
        )


def say_how_good_it_is(run):
    """Says how good the embedder is, before and after training."""
    rows = [
        (title, *(f"{run.results[when][name]:.3f}" for name in SHOWN))
        for title, when in (("before training", "before"), ("after training", "after"))
    ]
    printing.stage("On classes that were not trained on:")
    printing.table(("", *SHOWN), rows)


def say_what_is_next(run):
    """Says what to do with the run."""
    printing.stage(
        f"Look at {run.path / 'report.html'}. Then: keras-proxygml search {run.path} PHOTO, "
        f"keras-proxygml serve {run.path}, or keras-proxygml index {run.path} MORE_PHOTOS"
    )
