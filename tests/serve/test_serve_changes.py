"""Changes: by requests, if that is allowed, and by other processes under the server."""

import time
from pathlib import Path
from urllib.parse import quote

import keras
import numpy as np
import pytest
from colored import COLORS, EACH, fill, mean_color, picture, search
from starlette.testclient import TestClient

from keras_proxygml.search import Gallery
from keras_proxygml.serve import make_app, searching

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def saved(tmp_path):
    """A saved gallery."""
    (tmp_path / "pictures").mkdir()
    path = tmp_path / "colors.gallery"
    with Gallery(mean_color()) as gallery:
        fill(gallery, tmp_path / "pictures").calibrate(false_accept_rate=0.1)
        gallery.save(path)
    return path


def client_of(gallery, **options):
    return TestClient(make_app(gallery, **options), base_url="http://localhost")


def test_pictures_are_added_and_removed(saved, tmp_path):
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    contents = picture((120, 120, 0))
    with Gallery.load(saved) as gallery, client_of(gallery, uploads=uploads) as client:
        fields = {"label": "olive", "metadata": '{"shop": "A"}'}
        response = client.post("/items", files={"image": ("../x.png", contents)}, data=fields)
        assert response.status_code == 201
        added = response.json()
        assert (added["label"], added["metadata"]) == ("olive", {"shop": "A"})
        assert Path(added["id"]).parent == uploads
        assert Path(added["id"]).read_bytes() == contents
        assert client.get(added["thumbnail"]).status_code == 200
        found = search(client, contents, k=1).json()
        assert (found["known"], found["label"]) == (True, "olive")
        with Gallery.load(saved) as other:  # another process sees it at once
            assert other.get([added["id"]])[0].label == "olive"
        assert client.delete(f"/items/{quote(added['id'], safe='')}").status_code == 204
        assert search(client, contents, k=1).json()["label"] != "olive"
        assert list(uploads.iterdir()) == []
        assert client.delete(f"/items/{quote(added['id'], safe='')}").status_code == 404
        kept = next(gallery.items()).id
        assert client.delete(f"/items/{quote(kept, safe='')}").status_code == 204
        assert Path(kept).exists()


def test_what_cannot_be_added_leaves_nothing(saved, tmp_path):
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    with Gallery.load(saved) as gallery, client_of(gallery, uploads=uploads) as client:
        fields = {"label": "olive", "metadata": '{"shop": ["A"]}'}
        image = {"image": ("x.png", picture((1, 2, 3)))}
        response = client.post("/items", files=image, data=fields)
        assert response.status_code == 409
        assert "`metadata` must have names as keys" in response.json()["detail"]
        assert client.post("/items", files={"image": ("x.png", b"no picture")}).status_code == 422
        assert list(uploads.iterdir()) == []
        assert len(gallery) == len(COLORS) * EACH


def test_another_writer_is_a_conflict(saved, tmp_path):
    with Gallery.load(saved) as gallery, client_of(gallery, uploads=tmp_path) as client:
        with Gallery.load(saved) as writer:
            writer.remove([next(writer.items()).id])
            image = {"image": ("x.png", picture((1, 2, 3)))}
            assert client.post("/items", files=image).status_code == 409
        assert search(client, picture(COLORS["red"]), k=1).json()["label"] == "red"


def until(condition, seconds=10):
    """Waits until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


@pytest.fixture
def quick(monkeypatch):
    """Looks at the folder at each search."""
    monkeypatch.setattr(searching, "EVERY", 0.0)


@pytest.mark.usefixtures("quick")
def test_changes_of_another_process_are_seen(saved):
    with Gallery.load(saved) as gallery, client_of(gallery) as client:
        assert search(client, picture((120, 120, 0)), k=1).json()["known"] is False
        with Gallery.load(saved) as writer:
            image = writer.read_image(picture((120, 120, 0)))
            writer.add(image[None], ["olive"], ids=["olive"])
        found = search(client, picture((120, 120, 0)), k=1).json()
        assert (found["label"], found["hits"][0]["id"]) == ("olive", "olive")


@pytest.mark.usefixtures("quick")
def test_a_gallery_of_another_embedder_takes_its_place(saved, tmp_path):
    with Gallery.load(saved) as gallery, client_of(gallery) as client:
        assert search(client, picture(COLORS["red"]), k=1).json()["label"] == "red"
        images = keras.Input((4, 4, 3))
        vectors = keras.layers.Dense(5)(keras.layers.Flatten()(images))
        with Gallery(keras.Model(images, vectors)) as other:
            # The embedder has random weights, so a picture is found by itself alone.
            fill(other, tmp_path / "pictures")
            other.save(saved)
            expected = other.search(other.read_image(picture(COLORS["blue"]))[None], 12)
        found = search(client, picture(COLORS["blue"]), k=12).json()
        assert [hit["id"] for hit in found["hits"]] == expected.ids[0].tolist()
        assert found["threshold"] is None


@pytest.mark.usefixtures("quick")
def test_a_damaged_or_missing_folder_leaves_the_old_gallery(saved, caplog):
    with Gallery.load(saved) as gallery, client_of(gallery) as client:
        manifest = saved / "manifest.json"
        good = manifest.read_bytes()
        manifest.write_bytes(b"damaged")
        for _ in range(3):
            found = search(client, picture(COLORS["red"]), k=1).json()
            assert found["label"] == "red"
        assert "can't be read" in found["warning"]
        assert "can't be read" in client.get("/about").json()["warning"]
        assert len([x for x in caplog.records if "can't be read" in x.message]) == 1
        manifest.write_bytes(good)
        assert search(client, picture(COLORS["red"]), k=1).json()["warning"] is None
        manifest.unlink()
        assert search(client, picture(COLORS["red"]), k=1).json()["label"] == "red"


class Unregistered(keras.layers.Layer):
    """A layer that a saved embedder can't be loaded with."""

    def call(self, inputs):
        return inputs


@pytest.mark.usefixtures("quick")
def test_an_embedder_that_cannot_be_loaded_leaves_the_old_gallery(saved, tmp_path):
    def replace(embedder):
        with Gallery(embedder) as other:
            fill(other, tmp_path / "pictures")
            other.save(saved)

    def warning_of_a_search():
        found = search(client, picture(COLORS["red"]), k=1).json()
        assert found["nearest_label"] == "red"
        return found["warning"]

    with Gallery.load(saved) as gallery, client_of(gallery) as client:
        images = keras.Input((8, 8, 3))
        pooled = keras.layers.GlobalAveragePooling2D()(images)
        replace(keras.Model(images, Unregistered()(pooled)))
        assert "can't be read" in warning_of_a_search()
        replace(keras.Model(images, keras.layers.Rescaling(0.5)(pooled)))
        assert warning_of_a_search() is None
        replace(keras.Model(images, keras.layers.Rescaling(0.25)(pooled)))
        assert warning_of_a_search() is None
        assert gallery.embedder.layers[-1].scale == 0.25


@pytest.mark.usefixtures("quick")
def test_an_idle_server_sees_changes(saved):
    with Gallery.load(saved) as gallery, client_of(gallery) as client:
        with Gallery.load(saved) as writer:
            writer.add(np.ones((1, 8, 8, 3)), ["gray"], ids=["gray"])
        until(lambda: client.get("/about").json()["num_items"] == len(COLORS) * EACH + 1)


def test_an_image_prepared_for_another_embedder_is_prepared_again(gallery):
    served = searching.Searching(gallery)
    image, number = served.prepare(picture(COLORS["red"]))
    query = searching.Query(image, 1, None, number)
    other = searching.Query(image, 1, None, number - 1)
    answers = served.search([other, query])
    assert isinstance(answers[0], searching.OtherEmbedderError)
    assert answers[1]["label"] == "red"
