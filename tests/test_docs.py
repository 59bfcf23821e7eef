"""Every documented line runs, and documented arguments are the real ones."""

import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import keras_proxygml
from keras_proxygml import datasets

ROOT = Path(__file__).parent.parent
MODULES = [
    importlib.import_module(module.name)
    for module in pkgutil.walk_packages(keras_proxygml.__path__, "keras_proxygml.")
]


NAMESPACES = [value for value in vars(keras_proxygml).values() if inspect.ismodule(value)]
# Users import none of these.
INTERNAL = ("keras_proxygml.checks", "keras_proxygml.numerics", "keras_proxygml.selection")


def public_objects():
    """What users reach: a namespace's own names, and the methods of its classes."""
    for namespace in NAMESPACES:
        for name, value in vars(namespace).items():
            home = getattr(value, "__module__", None) or ""
            if (
                name.startswith("_")
                or not callable(value)
                or not home.startswith(namespace.__name__)
            ):
                continue
            yield f"{namespace.__name__}.{name}", value
            for method, function in vars(value).items() if inspect.isclass(value) else ():
                if inspect.isfunction(function) and not method.startswith("_"):
                    yield f"{namespace.__name__}.{name}.{method}", function


OBJECTS = dict(public_objects())
# Documented once, in the base class.
INHERITED = {
    "per_sample",
    "penalty",
    "build",
    "call",
    "update_step",
    "get_config",
    "compute_output_shape",
}
INHERITED |= {"on_train_begin", "on_epoch_end", "add_variable_from_reference"}


def is_inherited(name):
    return name.rpartition(".")[2] in INHERITED


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_documented_arguments_are_the_signature(name):
    value = OBJECTS[name]
    if is_inherited(name):
        return
    assert value.__doc__, f"{name} has no docstring"
    parameters = [
        {"VAR_KEYWORD": "**", "VAR_POSITIONAL": "*"}.get(p.kind.name, "") + p.name
        for p in inspect.signature(value).parameters.values()
        if p.name != "self"
    ]
    section = re.search(r"\n *(Args|Attributes):\n(.*?)(\n\n|\Z)", inspect.getdoc(value), re.S)
    if not parameters and section is None:
        return
    assert section is not None, f"{name} documents no Args"
    indent = re.match(r" *", section[2])[0]
    documented = re.findall(rf"^{indent}([\w*][\w*, ]*):", section[2], re.M)
    documented = [n for group in documented for n in group.split(", ")]
    assert documented == parameters, f"{name} documents {documented}, takes {parameters}"


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_public_signatures_have_types(name):
    if is_inherited(name) or name.startswith(INTERNAL):
        return
    value = OBJECTS[name]
    if hasattr(value, "_fields"):  # a NamedTuple, whose fields have types
        return
    function = value.__init__ if inspect.isclass(value) else value
    signature = inspect.signature(function)
    untyped = [
        p.name
        for p in signature.parameters.values()
        if p.name not in ("self", "cls") and p.annotation is p.empty
    ]
    assert not untyped, f"{name} has no types for {untyped}"
    assert signature.return_annotation is not signature.empty, f"{name} has no return type"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_docstring_examples(module):
    failed, _ = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0


def few(half, classes):
    images, labels = half
    return images[labels < classes], labels[labels < classes]


# Below, and by test_other_stores.py, test_distribution_jax.py, export/test_export_docs.py and
# serve/test_serve_docs.py.
RUN_ELSEWHERE = {
    "docs/exports.md",
    "docs/gallery.md",
    "docs/other-stores.md",
    "docs/your-images.md",
    "docs/scaling.md",
    "docs/serving.md",
}


def test_all_code_of_documents_is_run():
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")]
    with_code = {str(d.relative_to(ROOT)) for d in documents if "```python" in d.read_text()}
    assert with_code == set(CHECKS) | RUN_ELSEWHERE


def run_code_of(document):
    """Runs a document's Python, block after block, and returns its names."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(), re.S)
    assert blocks
    namespace = {}
    for block in blocks:
        exec(compile(block, document, "exec"), namespace)
    return namespace


def check_printed(word, printed):
    assert word in printed


def check_readme(names, printed):
    assert "val_recall@1" in printed
    itself = names["hits"].labels[:, 0]  # or an equal drawing of the same class
    np.testing.assert_array_equal(itself, names["test"][1][:5])


def check_quickstart(names, printed):
    check_readme(names, printed)
    assert keras.models.load_model("embedder.keras").output_shape == (None, 64)
    assert Path("characters.gallery/manifest.json").exists()


def check_new_classes(names, printed):
    assert float(printed) > 0.5  # 80 classes
    assert keras.models.load_model("embedder.keras").output_shape == (None, 32)


def check_method(names, printed):
    sizes = []
    for moment in ("before", "after"):
        with Image.open(f"subgraph_{moment}.png") as image:
            sizes.append(image.size)
    assert sizes == [(900, 600)] * 2
    own = names["cosines"][range(2), names["labels"][names["shown"]]]
    assert own.max() > 0.5  # the training moved the proxies of the own class to the front


def check_settings(names, printed):
    scores = re.findall(r"^(\d) ([\d.]+) [\d.]+ MAP@R (0\.\d+)$", printed, re.M)
    assert [(int(n), float(ratio)) for n, ratio, _ in scores] == [(2, 0.5), (4, 0.1)]
    assert all(float(score) > 0.05 for _, _, score in scores)  # 24 classes


def check_thresholds(names, printed):
    assert 0 < names["calibration"].false_accept_rate <= 0.05
    refused = float(printed.splitlines()[3])
    assert refused > 0.7  # of the drawings of classes that are not in the gallery
    assert 0 < names["metrics"]["tar@far=0.01"] < 1


CHECKS = {
    "README.md": check_readme,
    "docs/inspection.md": lambda names, printed: check_printed("suggested", printed),
    "docs/method.md": check_method,
    "docs/metrics.md": lambda names, printed: check_printed("index_recall@1", printed),
    "docs/migration.md": lambda names, printed: check_printed("val_recall@1", printed),
    "docs/new-classes.md": check_new_classes,
    "docs/quickstart.md": check_quickstart,
    "docs/settings.md": check_settings,
    "docs/thresholds.md": check_thresholds,
}


@pytest.mark.parametrize("document", sorted(CHECKS))
def test_code_of_documents(tmp_path, monkeypatch, capsys, document):
    train, test = datasets.glyphs()
    # The documents' own classes, but fewer drawings: the code runs as it stands.
    is_grouped = document in ("docs/method.md", "docs/migration.md", "docs/settings.md")
    sample = few(train, 96) if is_grouped else (train[0][::12], train[1][::12])
    monkeypatch.setattr(datasets, "glyphs", lambda: (sample, few(test, 40)))
    monkeypatch.chdir(tmp_path)
    namespace = run_code_of(document)
    CHECKS[document](namespace, capsys.readouterr().out)


def test_code_of_search(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    namespace = run_code_of("docs/gallery.md")
    printed = capsys.readouterr().out
    assert re.search(r"<Gallery of 401 items in .*drawings\.gallery>", printed)
    hits, names, hidden = (namespace[name] for name in ("hits", "names", "hidden_faces"))
    own = np.array(names)[hidden]
    assert (hits.labels[:, 0] == own).mean() > 0.6  # of classes that were never trained on
    found = namespace["found"].labels
    accepted = found != None  # noqa: E711  each of an array
    assert (found == own)[accepted].mean() > 0.7
    assert 0 < namespace["calibration"].false_accept_rate <= 0.05
    assert len(namespace["ids"]) == 401
    assert namespace["short"].embedder.output_shape == (None, 16)


def small_backbone(*, include_top, weights, input_shape, pooling):
    assert (include_top, weights, pooling) == (False, "imagenet", "avg")
    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(8, 16, strides=16),
            keras.layers.BatchNormalization(),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )


@pytest.mark.slow
def test_code_from_a_folder_to_search(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    # What the document takes from elsewhere: photographs, and a network with its weights.
    monkeypatch.setattr(keras.applications, "EfficientNetV2B0", small_backbone)
    effnet = keras.applications.efficientnet_v2
    monkeypatch.setattr(small_backbone, "__module__", effnet.__name__)  # for its preprocessing
    rng = np.random.default_rng(0)
    for name in ("bed", "bench", "chair", "lamp", "sofa", "table"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(4):
            pixels = rng.integers(0, 256, (60, 80, 3), "uint8")
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.jpg")
    namespace = run_code_of("docs/your-images.md")
    printed = capsys.readouterr().out
    assert "Epoch 12/12" in printed
    assert namespace["result"].embedder.output_shape == (None, 512)
    assert len(namespace["result"].history["loss"]) == 6
    assert namespace["train"].class_names == ("bench", "chair", "table")  # a random half
    first = namespace["test"].paths[0]
    assert first == str(Path("photos/bed/0.jpg"))
    assert first in printed
    sizes = {}
    for picture in ("learning_curves", "neighbors"):
        with Image.open(f"{picture}.png") as image:
            sizes[picture] = image.size
    assert sizes["learning_curves"] == (900, 340)
    assert sizes["neighbors"][0] == 1755  # a query and 8 neighbors of 1.3 inches, at 150 dpi
    assert namespace["hits"].ids[0, 0] == first
    assert namespace["hits"].labels[0, 0] == "bed"
    by_pillow = namespace["prepare"]("photos/lamp/0.jpg")
    read = datasets.read_image("photos/lamp/0.jpg", image_size=224)
    assert np.abs(by_pillow - read).max() <= 1.1
    batch_norms = [x for x in namespace["backbone"].layers if "Batch" in type(x).__name__]
    assert not any(layer.trainable for layer in batch_norms)
    assert len(namespace["model"].trainable_weights) == 2 + 2 + 1  # convolution, dense, proxies


DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "benchmarks/README.md"]


def anchors(document):
    """The anchors of the headings of a page, as GitHub and MyST make them."""
    titles = re.findall(r"^#+ (.*)$", document.read_text(), re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_named_files_and_targets_exist(document):
    text = document.read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?<=`)make ([a-z-]+)\b", text):
        assert re.search(rf"^[a-z- ]*\b{target}[a-z- ]*:", makefile, re.M), f"make {target}"
    for path in re.findall(r"`((?:tests|examples|benchmarks|docs)/[\w./]*)`", text):
        assert (ROOT / path).exists() or path.startswith("docs/_build"), f"names {path}"
    for path, anchor in re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", text):
        page = document.parent / path if path else document
        assert page.exists(), f"links to {path}"
        assert not anchor or anchor in anchors(page), f"links to {path}#{anchor}"
    if document.name in ("README.md", "overview.md"):
        for name in re.findall(r"^\| `(\w+)\(", text, re.M):
            assert hasattr(keras_proxygml, name), f"names {name}"


def test_every_namespace_has_a_reference_page():
    listed = re.findall(r"^   (\w+)$", (ROOT / "docs/api.md").read_text(), re.M)
    public = {namespace.__name__ for namespace in NAMESPACES} - set(INTERNAL)
    others = {"labeled_data", "types", "cli", "__main__"}  # nobody imports them either
    assert {name.rpartition(".")[2] for name in public} - others == set(listed)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_quickstart_runs(tmp_path):
    command = ["examples/quickstart.py", "--output", tmp_path, "--epochs", "3", "--classes", "200"]
    done = subprocess.run(
        [sys.executable, *map(str, command)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    rows = re.findall(r"^(raw pixels|(?:un)?trained embedder)((?: +[\d.]+){4})$", done.stdout, re.M)
    recall = {name: float(values.split()[0]) for name, values in rows}
    assert recall["trained embedder"] > max(recall["raw pixels"], recall["untrained embedder"])
    written = {path.name for path in tmp_path.iterdir()}
    pictures = {"learning_curves.png", "neighbors.png"}
    assert written == {"embedder.keras", "saved_model", "characters.gallery"} | pictures
    answer = r"A gallery of (\d+) drawings names ([\d.]+)% .* refuses ([\d.]+)% of"
    count, named, refused = map(float, re.search(answer, done.stdout, re.S).groups())
    assert count == 100 * 8  # half of 200 characters, in 8 of 12 faces
    assert named > 100 - refused  # the training is short, and 1 in 20 strangers may be accepted
    assert refused > 85
    loaded = keras.models.load_model(tmp_path / "embedder.keras")
    assert np.isfinite(loaded.predict(np.zeros((2, 32, 32, 1)), verbose=0)).all()
