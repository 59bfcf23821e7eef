"""The JSON API: what is found, what is listed, what is shown, and what is refused."""

import concurrent.futures
import io
import json
from urllib.parse import quote

import numpy as np
import pytest
from colored import COLORS, EACH, mean_color, picture, search
from PIL import Image
from starlette.testclient import TestClient

from keras_proxygml.search import Gallery
from keras_proxygml.serve import make_app

pytestmark = pytest.mark.tensorflow


def test_a_known_picture_gets_its_name(client, gallery):
    found = search(client, picture((240, 25, 15), form="JPEG"), k=3).json()
    assert (found["known"], found["label"], found["nearest_label"]) == (True, "red", "red")
    assert found["threshold"] == gallery.threshold
    assert found["warning"] is None
    similarities = [hit["similarity"] for hit in found["hits"]]
    assert len(similarities) == 3
    assert similarities == sorted(similarities, reverse=True)
    assert similarities[0] == found["similarity"] >= found["threshold"]
    assert {hit["label"] for hit in found["hits"]} == {"red"}


def test_it_finds_what_the_gallery_finds(client, gallery):
    contents = picture((200, 90, 40), (80, 50))
    hits = gallery.search(gallery.read_image(contents)[None], 12)
    found = search(client, contents, k=12).json()
    assert [hit["id"] for hit in found["hits"]] == hits.ids[0].tolist()
    np.testing.assert_array_equal([x["similarity"] for x in found["hits"]], hits.similarities[0])
    assert [hit["metadata"] for hit in found["hits"]] == hits.metadata()[0]


def test_a_stranger_is_unknown_with_the_nearest_anyway(client):
    found = search(client, picture((128, 128, 128))).json()
    assert (found["known"], found["label"]) == (False, None)
    assert found["nearest_label"] in COLORS
    assert found["similarity"] < found["threshold"]
    assert len(found["hits"]) == len(COLORS) * EACH  # 12 by default


def test_where_filters(client):
    found = search(client, picture((250, 20, 10)), where='{"shade": [1, 2]}').json()
    assert {hit["metadata"]["shade"] for hit in found["hits"]} == {1, 2}
    assert len(found["hits"]) == 2 * len(COLORS)


def test_k_may_exceed_the_gallery(client):
    assert len(search(client, picture((0, 0, 255)), k=100).json()["hits"]) == len(COLORS) * EACH


def test_concurrent_searches_get_their_own_answers(client):
    wanted = [name for name in COLORS for _ in range(8)]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        found = pool.map(lambda name: search(client, picture(COLORS[name]), k=1).json(), wanted)
    assert [answer["label"] for answer in found] == wanted


def test_items_are_listed_in_pages(client, gallery):
    ids = [item.id for item in gallery.items()]
    first = client.get("/items", params={"limit": 5}).json()
    rest = client.get("/items", params={"offset": 5, "limit": 1000}).json()
    assert [item["id"] for item in first["items"] + rest["items"]] == ids
    assert (first["total"], rest["offset"]) == (len(ids), 5)
    assert client.get("/items", params={"offset": 99}).json()["items"] == []


def test_one_item(client, gallery):
    item = next(gallery.items())
    found = client.get(f"/items/{quote(item.id, safe='')}").json()
    assert found["id"] == item.id
    assert (found["label"], found["metadata"]) == (item.label, item.metadata)
    assert client.get("/items/nothing").status_code == 404


def test_integers_as_ids(tmp_path):
    with Gallery(mean_color()) as gallery:
        gallery.add(np.ones((3, 8, 8, 3)), labels=[7, 8, 9], ids=[-1, 5, 6])
        with TestClient(make_app(gallery), base_url="http://localhost") as client:
            assert client.get("/items/-1").json()["label"] == 7
            assert client.get("/items/5").json() == {
                "id": 5,
                "label": 8,
                "metadata": {},
                "thumbnail": None,
            }
            assert client.get("/items/4").status_code == 404
            assert client.get(f"/items/{'1' * 5000}").status_code == 404
            assert client.get("/thumbnails/5").status_code == 404


def test_thumbnails_are_small_pictures_of_the_items(client, gallery, folder):
    item = next(gallery.items())
    address = client.get("/items").json()["items"][0]["thumbnail"]
    response = client.get(address)
    assert response.headers["content-type"] == "image/jpeg"
    with Image.open(io.BytesIO(response.content)) as image:
        color = np.asarray(image).mean((0, 1))
    with Image.open(item.id) as image:
        np.testing.assert_allclose(color, np.asarray(image).mean((0, 1)), atol=3)


def test_thumbnails_have_bounded_sides_and_stand_upright(tmp_path):
    path = tmp_path / "wide.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    Image.new("RGB", (3000, 1500), "red").save(path, exif=exif)
    with Gallery(mean_color()) as gallery:
        gallery.add(str(path))
        with TestClient(make_app(gallery), base_url="http://localhost") as client:
            address = client.get("/items").json()["items"][0]["thumbnail"]
            for size, height in {"small": 320, "large": 1280}.items():
                contents = client.get(address, params={"size": size}).content
                assert Image.open(io.BytesIO(contents)).size == (height // 2, height)


@pytest.mark.parametrize("make", ["%2Fetc%2Fpasswd", "../secret.png", "{folder}%2F..%2Fsecret.png"])
def test_no_other_file_is_shown(client, folder, make):
    secret = folder.parent / "secret.png"
    secret.write_bytes(picture((1, 2, 3)))
    paths = [make.format(folder=quote(str(folder), safe="")), quote(str(secret), safe="")]
    for path in paths:
        assert client.get(f"/thumbnails/{path}").status_code == 404
        assert client.get(f"/page/{path}").status_code == 404


def test_a_picture_that_is_gone_or_damaged_has_no_thumbnail(tmp_path):
    for name in ("gone", "damaged"):
        (tmp_path / f"{name}.png").write_bytes(picture((9, 9, 9)))
    with Gallery(mean_color()) as gallery:
        gallery.add([str(tmp_path / "damaged.png"), str(tmp_path / "gone.png")])
        (tmp_path / "gone.png").unlink()
        (tmp_path / "damaged.png").write_bytes(b"no picture")
        with TestClient(make_app(gallery), base_url="http://localhost") as client:
            damaged, gone = client.get("/items").json()["items"]
            assert gone["thumbnail"] is None
            assert client.get(damaged["thumbnail"]).status_code == 404


def test_relative_ids_start_from_the_folder_of_images(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(picture((9, 9, 9)))
    with Gallery(mean_color()) as gallery:
        gallery.add(np.ones((1, 8, 8, 3)), ids=["a.png"])
        for images, found in ((tmp_path, "/thumbnails/a.png"), (tmp_path.parent, None)):
            app = make_app(gallery, images=images)
            with TestClient(app, base_url="http://localhost") as client:
                assert client.get("/items").json()["items"][0]["thumbnail"] == found


BROKEN = {
    "no picture": (b"hello", 422, "It is no image of a known kind."),
    "an empty file": (b"", 422, "The file is empty."),
    "a picture that is cut off": (picture((1, 2, 3), (90, 90))[:-60], 422, "It is"),
    "too many pixels": (picture((1, 2, 3), (1001, 1000)), 413, "1,001 × 1,000 pixels"),
    "more pixels than Pillow allows": (
        b"BM" + bytes(16) + (30000).to_bytes(4, "little") * 2,
        422,
        "no picture that can be read",
    ),
    "too many bytes": (bytes(2**20 + 2**17), 413, "1 MiB are allowed"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_picture_is_refused_with_the_reason(client, name):
    contents, status, reason = BROKEN[name]
    response = search(client, contents)
    assert response.status_code == status
    assert reason in response.json()["detail"]
    assert search(client, picture((250, 20, 10)), k=1).json()["label"] == "red"


def test_a_decompression_bomb_is_refused_unread(client):
    import struct
    import zlib

    def chunk(name, data):
        crc = zlib.crc32(name + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + name + data + crc

    size = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(bytes(9)))
    response = search(client, bomb + chunk(b"IEND", b""))
    assert response.status_code == 413
    assert "too many pixels" in response.json()["detail"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"k": 0}, "greater than or equal to 1"),
        ({"k": 1000}, "less than or equal to 100"),
        ({"where": "{"}, "`where` must be a JSON object"),
        ({"where": "[1]"}, "`where` must be a JSON object"),
        ({"where": '{"shop": 1}'}, "`where` must name fields of the metadata: 'shade'"),
    ],
)
def test_wrong_fields_are_refused(client, fields, reason):
    response = search(client, picture((1, 2, 3)), **fields)
    assert response.status_code == 422
    assert reason in json.dumps(response.json(), ensure_ascii=False)


def test_without_threshold_nothing_is_known_or_unknown(folder):
    with Gallery(mean_color()) as gallery:
        gallery.add(sorted(map(str, folder.glob("*.png"))), ["a"] * (len(COLORS) * EACH))
        with TestClient(make_app(gallery), base_url="http://localhost") as client:
            found = search(client, picture((128, 128, 128))).json()
            assert (found["known"], found["label"], found["threshold"]) == (None, None, None)
            assert found["nearest_label"] == "a"
            assert client.get("/about").json()["threshold"] is None


def test_without_labels_the_nearest_items_are_found():
    with Gallery(mean_color()) as gallery:
        gallery.add(np.random.default_rng(0).uniform(0, 255, (40, 8, 8, 3)))
        with TestClient(make_app(gallery), base_url="http://localhost") as client:
            found = search(client, picture((250, 20, 10)), k=5).json()
            assert (found["known"], found["nearest_label"], found["similarity"]) == (None,) * 3
            assert len(found["hits"]) == 5


def test_the_nearest_labeled_item_counts_however_far_it_is():
    images = np.zeros((41, 8, 8, 3), "float32")
    images[:40, ..., 0], images[40, ..., 1] = 200, 200
    with Gallery(mean_color()) as gallery:
        gallery.add(images, [None] * 40 + ["green"])
        with TestClient(make_app(gallery), base_url="http://localhost") as client:
            found = search(client, picture((250, 25, 0)), k=2).json()
    assert found["nearest_label"] == "green"
    assert found["similarity"] == pytest.approx(25 / np.hypot(250, 25), abs=1e-3)
    assert [hit["label"] for hit in found["hits"]] == [None, None]


def test_an_empty_gallery_says_so():
    with (
        Gallery(mean_color()) as gallery,
        TestClient(make_app(gallery), base_url="http://localhost") as client,
    ):
        found = search(client, picture((1, 2, 3))).json()
        assert (found["hits"], found["known"]) == ([], None)
        assert "gallery is empty" in found["warning"]


def test_about_and_health(client, gallery):
    about = client.get("/about").json()
    assert (about["title"], about["num_items"]) == ("Colors & more", len(gallery))
    assert (about["threshold"], about["writable"]) == (gallery.threshold, False)
    assert client.get("/health").json()["status"] == "ok"


def test_openapi_describes_every_address(client):
    described = client.get("/openapi.json").json()
    assert set(described["paths"]) == {
        "/search",
        "/items",
        "/items/{id}",
        "/thumbnails/{id}",
        "/about",
        "/health",
    }
    assert "threshold" in described["components"]["schemas"]["Answer"]["properties"]


def test_nothing_can_be_changed_by_default(client, gallery):
    assert client.post("/items", files={"image": b"a"}).status_code == 405
    assert client.delete(f"/items/{quote(next(gallery.items()).id)}").status_code == 405
    assert len(gallery) == len(COLORS) * EACH
