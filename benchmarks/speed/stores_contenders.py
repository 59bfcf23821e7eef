"""What `stores` compares: functions that store vectors and make a search of them.

Each takes unit vectors `[N, D]`, float32, a folder, and a stack that closes what it opened, and
returns a `Store`. The first line of each docstring says what it is, in the table too.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks import postgres


class Store(NamedTuple):
    """A store that is ready.

    Attributes:
        search: From queries `[Q, D]` and k to rows `[Q, k]`.
        size: Returns the bytes of its files.
        processes: Ids of other processes that belong to it.
    """

    search: Callable
    size: Callable = lambda: 0
    processes: tuple = ()


def exact(vectors, folder, stack):
    """`Gallery()`"""
    return _gallery(vectors, folder, stack)


def int8(vectors, folder, stack):
    """`Gallery(index="int8")`"""
    return _gallery(vectors, folder, stack, index="int8")


def hnsw(vectors, folder, stack):
    """`Gallery(index="HNSW32", index_settings="efSearch=64")`"""
    return _gallery(vectors, folder, stack, index="HNSW32", index_settings="efSearch=64")


def ivf(vectors, folder, stack):
    """`Gallery(index="IVF1024,Flat", index_settings="nprobe=32")`"""
    return _gallery(vectors, folder, stack, index="IVF1024,Flat", index_settings="nprobe=32")


def _gallery(vectors, folder, stack, **options):
    from keras_proxygml.search import Gallery

    path = Path(folder, f"{len(vectors)}.gallery")
    made = stack.enter_context(Gallery(**options))
    made.add(vectors, verbose=False)
    made.save(path)
    made.search(vectors[:1])  # builds the index
    return Store(lambda queries, k: made.search(queries, k=k).ids, lambda: _bytes_of(path))


def _bytes_of(path):
    return sum(x.stat().st_size for x in (path, *path.rglob("*")) if x.is_file())


def pgvector(vectors, folder, stack):
    """PostgreSQL with pgvector, without an index"""
    return _pgvector(vectors, stack)


def pgvector_hnsw(vectors, folder, stack):
    """PostgreSQL with pgvector, `USING hnsw`, `hnsw.ef_search = 64`"""
    return _pgvector(
        vectors,
        stack,
        "CREATE INDEX ON items USING hnsw (vector vector_cosine_ops)",
        "SET hnsw.ef_search = 64",
    )


def _pgvector(vectors, stack, *commands):
    import psycopg
    from pgvector.psycopg import register_vector

    address, process = stack.enter_context(postgres.server())
    database = stack.enter_context(psycopg.connect(address, autocommit=True))
    database.execute("CREATE EXTENSION vector")
    register_vector(database)
    database.execute(f"CREATE TABLE items (id int PRIMARY KEY, vector vector({vectors.shape[1]}))")
    with database.cursor().copy("COPY items FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(["int4", "vector"])
        for row in enumerate(vectors):
            copy.write_row(row)
    for command in ("VACUUM ANALYZE items", *commands):
        database.execute(command)
    nearest = "SELECT id FROM items ORDER BY vector <=> %s LIMIT %s"

    def find(queries, k):
        return np.array([database.execute(nearest, (x, k)).fetchall() for x in queries])[..., 0]

    size = "SELECT pg_total_relation_size('items')"
    return Store(find, lambda: database.execute(size).fetchone()[0], (process,))


def qdrant(vectors, folder, stack):
    """qdrant-client, `":memory:"`: it compares all vectors"""
    from qdrant_client import QdrantClient, models

    client = QdrantClient(":memory:")
    cosine = models.VectorParams(size=vectors.shape[1], distance=models.Distance.COSINE)
    client.create_collection("items", cosine)
    client.upload_collection("items", vectors, ids=range(len(vectors)))

    def find(queries, k):
        asked = [models.QueryRequest(query=x.tolist(), limit=k) for x in queries]
        found = client.query_batch_points("items", asked)
        return np.array([[point.id for point in of_one.points] for of_one in found])

    return Store(find)


def milvus(vectors, folder, stack):
    """Milvus Lite, a local file: it compares all vectors"""
    from pymilvus import MilvusClient

    path = Path(folder, f"milvus{len(vectors)}.db")
    client = MilvusClient(str(path))
    stack.callback(client.close)
    client.create_collection("items", vectors.shape[1], metric_type="COSINE")
    for first in range(0, len(vectors), 1000):
        some = enumerate(vectors[first : first + 1000], first)
        client.insert("items", [{"id": i, "vector": x} for i, x in some])
    client.flush("items")

    def find(queries, k):
        found = client.search("items", list(queries), limit=k)
        return np.array([[hit["id"] for hit in hits] for hits in found])

    return Store(find, lambda: _bytes_of(path))
