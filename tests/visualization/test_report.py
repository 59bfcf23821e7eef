"""The report: what is in its file."""

import json
import re
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from keras_proxygml import datasets
from keras_proxygml.metrics import retrieval_metrics
from keras_proxygml.visualization import report
from keras_proxygml.visualization._report import contents, findings, thumbnails
from keras_proxygml.visualization._report.plane import places_on_map

pytest.importorskip("jinja2")

NAMES = ["<b>cat</b>", 'a "quote" & more', "日本語", "</script><script>alert(1)</script>"]


def examples(per_class=6, classes=4, dims=8, spread=0.4, seed=0):
    """Colored squares, their labels, and vectors around a center per class."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), per_class)
    vectors = 3 * np.eye(classes, dims)[labels] + spread * rng.standard_normal((len(labels), dims))
    images = rng.integers(0, 256, (len(labels), 24, 24, 3)).astype("uint8")
    return vectors.astype("float32"), images, labels


def data_of(page):
    """What the page's script reads."""
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1]
    return json.loads(text)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A report on few images with a leak, and what it was made of."""
    vectors, images, labels = examples()
    vectors[3] = vectors[7]  # of another class
    folder = tmp_path_factory.mktemp("report")
    train = np.concatenate([images[5:6], 255 - images[:3]])
    train_vectors = np.concatenate([vectors[5:6], -vectors[:3]])
    path = report(
        folder / "report.html",
        vectors,
        images,
        labels,
        class_names=NAMES,
        train=train,
        train_embeddings=train_vectors,
        baselines={"untrained <model>": np.roll(vectors, 1, axis=0)},
        history={"loss": [2.0, 1.0, 0.5], "val_recall@1": [0.5, 0.6, 0.7]},
        metrics={"nmi": 0.5},
        title="Things & names",
    )
    return path.read_text(encoding="utf-8"), vectors, images, labels


def test_file_needs_nothing_else(made):
    page, *_ = made
    assert len(page) < 600_000
    assert "default-src 'none'" in page
    assert not re.findall(r'(?:src|srcset|href)="(?!#|data:)(?!https://(?:github|d3js))', page)
    assert "@import" not in page


def test_names_are_escaped(made):
    page, *_ = made
    assert "&lt;b&gt;cat&lt;/b&gt;" in page
    assert "<b>cat" not in page
    assert "<script>alert" not in page
    assert "untrained &lt;model&gt;" in page
    assert "<title>Things &amp; names</title>" in page
    assert data_of(page)["classes"] == NAMES


def test_numbers_are_those_of_the_metrics(made):
    page, vectors, _, labels = made
    row = re.search(r'<th scope="row">Recall@1</th>(.*?)</tr>', page, re.S)[1]
    shown = [float(x) for x in re.findall(r"<td>\s*([\d.]+)", row)]
    expected = [
        100 * retrieval_metrics(x, labels)["recall@1"]
        for x in (vectors, np.roll(vectors, 1, axis=0))
    ]
    np.testing.assert_allclose(shown[:2], expected, atol=0.05)
    assert len(shown) == 3  # raw pixels too


def test_wall_shows_the_worst_query_first(made):
    page, vectors, _, labels = made
    wall = data_of(page)["wall"]
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = units @ units.T
    np.fill_diagonal(cosines, -np.inf)
    same = labels[:, None] == labels
    gaps = np.where(same, cosines, -2).max(axis=1) - np.where(same, -2, cosines).max(axis=1)
    assert wall["queries"] == np.argsort(gaps, kind="stable").tolist()
    first = [row[0] for row in wall["places"]]
    assert first == cosines.argmax(axis=1)[wall["queries"]].tolist()


def test_leaks_and_suspects_are_found(made):
    page, *_ = made
    leaks = re.search(r"<h3>Between.*?<h3>Within", page, re.S)[0]
    assert re.findall(r'data-item="(\d+)"', leaks) == ["5", "24"]  # the first training image
    assert "pixels 1.000" in leaks
    suspects = page[page.index('id="labels-title"') : page.index('id="duplicates-title"')]
    assert re.findall(r'data-item="(\d+)"', suspects)[0] == "3"


def test_threshold_lets_in_one_percent_of_strangers():
    strangers = np.random.default_rng(0).random(1000)
    threshold = contents._threshold(None, strangers)
    assert 0.009 <= (strangers >= threshold).mean() <= 0.01
    assert contents._threshold(0.3, strangers) == 0.3


def test_threshold_may_exceed_one(tmp_path):
    threshold = float(np.nextafter(1, 2))  # as of a calibration that accepts not even equal vectors
    path = report(tmp_path / "a.html", *examples(), threshold=threshold)
    assert data_of(path.read_text(encoding="utf-8"))["threshold"]["start"] == threshold


def test_pictures_are_the_images(made):
    import base64
    import io

    page, _, images, _ = made
    (part,) = data_of(page)["pictures"]
    assert part["items"] == list(range(25))
    assert part["side"] == 24
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(part["sheets"][0]))))
    shown = sheet[24:48, 24:48]  # the second row begins with item 20
    alike = [np.corrcoef(shown.ravel(), image.ravel())[0, 1] for image in images]
    assert np.argmax(alike) == 21
    assert alike[21] > 0.5  # the color of noise is lost


def test_equal_input_makes_equal_files(made, tmp_path):
    vectors, images, labels = examples()
    pages = [report(tmp_path / f"{i}.html", vectors, images, labels).read_bytes() for i in range(2)]
    assert pages[0] == pages[1]


@pytest.mark.tensorflow
def test_embedder_and_files_of_which_some_are_broken(tmp_path):
    _, images, labels = examples(per_class=3)
    paths = []
    for i, image in enumerate(images):
        paths.append(str(tmp_path / f"{i}.png"))
        Image.fromarray(image).save(paths[-1])
    (tmp_path / "4.png").write_bytes(b"<no image>")
    (tmp_path / "9.png").unlink()
    files = datasets.ImageFiles(paths, labels, NAMES)
    embedder = keras.Sequential([keras.Input((24, 24, 3)), keras.layers.Flatten()])
    with pytest.warns(UserWarning, match="cannot be read"):
        path = report(tmp_path / "a.html", embedder, files, image_options={"shorter_side": 24})
    page = path.read_text(encoding="utf-8")
    assert "2 files could not be read" in page
    assert all(f"<code>{paths[i]}</code>" in page for i in (4, 9))
    data = data_of(page)
    assert len(data["titles"]) == 10
    assert data["titles"][4] == f"{tmp_path.name}/5.png"
    with pytest.warns(UserWarning, match="2 images cannot be read"):
        path = report(tmp_path / "b.html", images.reshape(12, -1), files)
    data = data_of(path.read_text(encoding="utf-8"))
    assert len(data["titles"]) == 12  # these have vectors
    assert data["pictures"][0]["items"] == [0, 1, 2, 3, 5, 6, 7, 8, 10, 11]


@pytest.mark.tensorflow
def test_baseline_without_a_broken_file(tmp_path):
    vectors, images, labels = examples()
    paths = [str(tmp_path / f"{i}.png") for i in range(24)]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    (tmp_path / "4.png").write_bytes(b"<no image>")
    model = keras.Sequential([keras.Input((24, 24, 3)), keras.layers.Flatten()])
    given = {"baselines": {"untrained": model}, "image_options": {"shorter_side": 24}}
    with pytest.warns(UserWarning, match="cannot be read"):
        path = report(tmp_path / "a.html", vectors, paths, labels, **given)
    row = re.search(r'<th scope="row">MAP@R</th>(.*?)</tr>', path.read_text("utf-8"), re.S)[1]
    shown = [float(x) for x in re.findall(r"<td>\s*([\d.]+)", row)]
    read = np.arange(24) != 4
    pixels = images.reshape(24, -1)[read].astype("float32")
    expected = [
        100 * retrieval_metrics(x, y)["map@r"]
        for x, y in [(vectors, labels), (pixels, labels[read])]
    ]
    np.testing.assert_allclose(shown[:2], expected, atol=0.05)


def test_embedder_takes_a_list_of_arrays_of_one_shape(tmp_path):
    _, images, labels = examples()
    model = keras.Sequential([keras.Input((24, 24, 3)), keras.layers.Flatten()])
    pages = [
        report(tmp_path / f"{i}.html", model, x, labels, baselines={"same": model}).read_bytes()
        for i, x in enumerate([images, list(images)])
    ]
    assert pages[0] == pages[1]
    others = [*images[:-1], images[-1, :20]]
    message = r"`images` must have one shape, .* 2 shapes, such as \(20, 24, 3\) and \(24, 24, 3\)"
    with pytest.raises(ValueError, match=message):
        report(tmp_path / "a.html", model, others, labels)


def test_training_files_have_their_own_classes(tmp_path):
    vectors, images, labels = examples()
    Image.fromarray(images[0]).save(tmp_path / "a.png")
    train = datasets.ImageFiles([tmp_path / "a.png"], [0], ["zebra"])
    path = report(
        tmp_path / "a.html", vectors, images, labels, train=train, train_embeddings=vectors[:1]
    )
    data = data_of(path.read_text(encoding="utf-8"))
    assert data["classes"] == ["0", "1", "2", "3", "zebra"]
    assert (data["labels"][-1], data["halves"]) == (4, 24)


def test_page_stays_small(tmp_path):
    vectors, images, labels = examples(per_class=60, classes=5)
    images = images.repeat(4, axis=1).repeat(4, axis=2)
    path = report(tmp_path / "a.html", vectors, images, labels, max_images=100, megabytes=2)
    assert path.stat().st_size < 2e6
    data = data_of(path.read_text(encoding="utf-8"))
    assert len(data["pictures"][0]["items"]) == 100
    assert len(data["map"]["items"]) == 50
    assert "This page holds 100 pictures" in path.read_text(encoding="utf-8")


def test_thumbnails_shrink_to_the_limit():
    images = np.random.default_rng(0).integers(0, 256, (24, 150, 150, 3)).astype("uint8")
    for limit in (1e5, 1e6):
        made = thumbnails.read_thumbnails(thumbnails.Images(images), np.arange(24), limit)
        sheets = made.page_form()["sheets"]
        assert sum(map(len, sheets)) * 3 / 4 <= limit
    assert made.pixels.shape == (24, 144, 144, 3)


def test_map_places_the_rest_among_the_neighbors(monkeypatch):
    monkeypatch.setattr("keras_proxygml.visualization._report.plane.MOST", 40)
    vectors, _, labels = examples(per_class=20)
    points, how = places_on_map(vectors, 0)
    assert how.startswith("The map is a t-SNE of 40 random embeddings. Each of the other 40")
    centers = np.stack([points[labels == c].mean(axis=0) for c in range(4)])
    nearest = np.linalg.norm(points[:, None] - centers, axis=2).argmin(axis=1)
    assert (nearest == labels).mean() > 0.95
    assert points.min() == 0
    assert points.max() == 4095


def test_threshold_of_duplicates_rises_until_few_are_left(monkeypatch):
    monkeypatch.setattr(findings, "MOST_PAIRS", 10)
    angles = np.radians(np.linspace(0, 30, 30))
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    pairs = findings.duplicates(vectors, np.zeros(30, int))
    assert pairs.threshold == 1.0
    assert len(pairs.first) == 0


def test_collapsed_embedder(tmp_path, monkeypatch):
    monkeypatch.setattr(findings, "MOST_PAIRS", 10)
    _, images, labels = examples()
    page = report(tmp_path / "a.html", np.ones((24, 4)), images, labels).read_text(encoding="utf-8")
    assert "pairs of embeddings are equal, so they are not listed" in page
    assert "Within" not in page


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": []}, "`images` must be one or more images. Received: no image"),
        ({"images": "a.jpg"}, "`images` must be one or more images. Received: str"),
        ({"labels": np.zeros(24, int)}, "`labels` must be of at least two classes"),
        ({"labels": None}, "`labels` must be integers or strings"),
        ({"labels": [1, 2]}, "`labels` must have 24 items"),
        ({"embeddings": np.eye(3)}, "`embeddings` must have 24 items"),
        ({"labels": np.arange(24)}, "`labels` must have a class of at least two items"),
        ({"baselines": {"x": np.eye(3)}}, "`baselines` must have 24 vectors each"),
        ({"train": [1]}, "`train_embeddings` must be None if `embeddings` is an embedder"),
        ({"train_embeddings": np.eye(8)}, "`train` must be given with `train_embeddings`"),
        ({"threshold": -2}, r"`threshold` must be in \[-1, inf\)"),
        ({"neighbors": 0}, "`neighbors` must be an integer of 1"),
        ({"max_images": 10}, "`max_images` must be an integer of 100"),
        ({"megabytes": 1}, r"`megabytes` must be in \[2, inf\)"),
        ({"images": np.zeros((24, 3, 3, 2), "uint8")}, "`images` must be .* with 1, 3 or 4"),
        ({"class_names": ["a"]}, "`class_names` must have a name for each label"),
    ],
)
def test_bad_input(tmp_path, change, message):
    embeddings, images, labels = examples()
    given = {"embeddings": embeddings, "images": images, "labels": labels} | change
    with pytest.raises(ValueError, match=message):
        report(tmp_path / "a.html", **given)
    assert not (tmp_path / "a.html").exists()


@pytest.mark.tensorflow
def test_nothing_that_can_be_read(tmp_path):
    embedder = keras.Sequential([keras.Input((24, 24, 3)), keras.layers.Flatten()])
    with (
        pytest.warns(UserWarning, match="cannot be read"),
        pytest.raises(ValueError, match="`images` must have some images that can be read"),
    ):
        report(tmp_path / "a.html", embedder, [str(tmp_path / "a.png")], [0])


def test_missing_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImportError, match=r"pip install 'keras-proxygml\[report\]'"):
        report(tmp_path / "a.html", *examples())
