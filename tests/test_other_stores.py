"""The recipes of docs/other-stores.md store a gallery elsewhere and find the same neighbors."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest

from benchmarks import postgres
from keras_proxygml.search import Gallery

PAGE = Path(__file__).parent.parent / "docs/other-stores.md"
pytestmark = pytest.mark.slow


def blocks(title):
    """The Python of a section, block by block; of the introduction by the title of the page."""
    section = re.search(rf"^#+ {title}\n(.*?)(^## |\Z)", PAGE.read_text(), re.S | re.M)[1]
    return [compile(x, title, "exec") for x in re.findall(r"```python\n(.*?)```", section, re.S)]


@pytest.fixture
def names(tmp_path, monkeypatch):
    """The names that the introduction leaves, with a gallery and images as gallery.md has them."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    items = rng.uniform(0, 255, (500, 8, 8, 1)).astype("float32")
    embedder = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    embedder.add(keras.layers.Dense(32))
    with Gallery(embedder) as gallery:
        gallery.add(
            items,
            labels=[f"character {i // 12}" for i in range(500)],
            ids=[f"drawing {i}" for i in rng.permutation(500)],
            metadata=[{"face": i % 12, "pen": f"no. {i % 3}"} for i in range(500)],
            verbose=False,
        )
        gallery.remove(["drawing 7", "drawing 8"])
        gallery.save("drawings.gallery")
    names = {"images": rng.uniform(0, 255, (30, 8, 8, 1)).astype("float32")}
    [introduction] = blocks("Other stores")
    exec(introduction, names)
    yield names
    names["gallery"].close()


def check_neighbors(names, search, plain=lambda found: found):
    """Runs a recipe's search for each image, and compares it with the gallery's."""
    gallery, images = names["gallery"], names["images"]
    of_faces = gallery.search(images, k=5, where={"face": [4, 5]}).ids
    queries = gallery.embedder.predict(images, verbose=0)
    for query, all_faces, some_faces in zip(
        queries, gallery.search(images, k=5).ids, of_faces, strict=True
    ):
        exec(search, found := names | {"query": query})
        assert plain(found["found"]) == all_faces.tolist()
        assert plain(found["filtered"]) == some_faces.tolist()


def test_parquet(names):
    pq = pytest.importorskip("pyarrow.parquet")
    write, read = blocks("Parquet")
    exec(write, names)
    columns = pq.read_schema("drawings.parquet")
    assert columns.names == ["face", "pen", "id", "label", "vector"]
    assert str(columns.field("vector").type).startswith("fixed_size_list")
    exec(read, names)
    with names["again"] as again:
        for item, expected in zip(again.items(), names["gallery"].items(), strict=True):
            np.testing.assert_array_equal(item.vector, expected.vector)
            assert item._replace(vector=None) == expected._replace(vector=None)
        ids = names["gallery"].search(names["images"], k=5).ids
        queries = names["gallery"].embedder.predict(names["images"], verbose=0)
        np.testing.assert_array_equal(again.search(queries, k=5).ids, ids)


def test_postgresql(names):
    pytest.importorskip("psycopg")
    pytest.importorskip("pgvector")
    if postgres.programs() is None:
        pytest.skip("There is no PostgreSQL with pgvector.")
    store, search = blocks("PostgreSQL with pgvector")
    with postgres.server() as (address, _):
        exec(store, names := names | {"address": address})
        with names["database"] as database:
            assert database.execute("SELECT count(*) FROM drawings").fetchone() == (498,)
            check_neighbors(names, search, lambda found: [name for (name,) in found])
            database.execute("CREATE INDEX ON drawings USING hnsw (vector vector_cosine_ops)")
            database.execute("SET hnsw.iterative_scan = strict_order")
            database.execute("SET enable_seqscan = off")
            exec(search, names)
            assert len(names["filtered"]) == 5


def test_qdrant(names):
    pytest.importorskip("qdrant_client")
    store, search = blocks("Qdrant")
    exec(store, names)
    assert names["qdrant"].count("drawings").count == 498
    check_neighbors(names, search)
    names["qdrant"].close()


def test_milvus(names):
    pytest.importorskip("milvus_lite")
    pytest.importorskip("pymilvus")
    store, search = blocks("Milvus")
    exec(store, names)
    check_neighbors(names, search)
    names["milvus"].close()
    assert Path("drawings.db").exists()
