"""What `search_speed` compares: functions that make a search of vectors.

Each takes vectors `[N, D]`, float32, and a folder, and returns a function from queries `[Q, D]` and
k to rows `[Q, k]`. The first line of each docstring says what it is, in the table too. Vectors and
queries have unit length, but the contenders may not rely on it, unless their line says so.
"""

import shutil
from pathlib import Path

import numpy as np

SEGMENTS = 10


def make_data(items, dims, queries, seed=0):
    """Unit vectors of clusters of about 50, and queries of the same clusters."""
    rng = np.random.default_rng(seed)
    centers = rng.standard_normal((items // 50, dims), dtype="float32")
    cluster = rng.integers(len(centers), size=items + queries)
    vectors = 0.7 * rng.standard_normal((items + queries, dims), dtype="float32")
    for first in range(0, len(vectors), 4096):
        some = slice(first, first + 4096)
        vectors[some] += centers[cluster[some]]
        vectors[some] /= np.linalg.norm(vectors[some], axis=1, keepdims=True)
    return vectors[:items], vectors[items:]


def ours(vectors, folder):
    """The engine of `nearest` and `Gallery`, on arrays in memory."""
    from keras_proxygml.metrics._exact.nearest import nearest_rows, unit_rows

    units = unit_rows(vectors)
    return lambda queries, k: nearest_rows(unit_rows(queries), [units], k)[0]


def ours_mapped(vectors, folder):
    """The same on ten memory-mapped files, which are opened here and not written."""
    from keras_proxygml.metrics._exact.nearest import nearest_rows, unit_rows

    paths = sorted(Path(folder, "segments").glob("*.npy"))
    segments = [np.load(path, mmap_mode="r") for path in paths]
    return lambda queries, k: nearest_rows(unit_rows(queries), segments, k)[0]


def ours_int8(vectors, folder):
    """int8 codes in memory, and the same files for the exact similarities of candidates."""
    from keras_proxygml.metrics._exact.nearest import unit_rows
    from keras_proxygml.search.quantized import Quantized

    paths = sorted(Path(folder, "segments").glob("*.npy"))
    segments = [np.load(path, mmap_mode="r") for path in paths]
    codes = Quantized.build(segments)
    return lambda queries, k: codes.search(unit_rows(queries), segments, k)[0]


def gallery(vectors, folder, ids=None):
    """`Gallery().add(vectors)` in memory, which numbers the items, as faiss does."""
    from keras_proxygml.search import Gallery

    made = Gallery()
    made.add(vectors, ids=ids, verbose=False)
    return lambda queries, k: made.search(queries, k=k).ids


def gallery_with_ids(vectors, folder):
    """The same with ids that are given, an array of integers."""
    return gallery(vectors, folder, np.arange(len(vectors)))


def gallery_opened(vectors, folder):
    """`Gallery.load` of a saved one, which is opened here and not made."""
    from keras_proxygml.search import Gallery

    made = Gallery.load(Path(folder, "saved.gallery"))
    return lambda queries, k: made.search(queries, k=k).ids


def faiss_flat(vectors, folder):
    """`normalize_L2`, `IndexFlatIP.add` and `search`."""
    import faiss

    units = vectors.copy()
    faiss.normalize_L2(units)
    index = faiss.IndexFlatIP(units.shape[1])
    index.add(units)
    del units
    return lambda queries, k: index.search(queries, k)[1]


def faiss_raw(vectors, folder):
    """`IndexFlatIP.add` and `search` of vectors that are unit vectors already."""
    import faiss

    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    return lambda queries, k: index.search(queries, k)[1]


def scikit_learn(vectors, folder):
    """`NearestNeighbors(algorithm="brute", metric="cosine")`."""
    from sklearn.neighbors import NearestNeighbors

    fitted = NearestNeighbors(algorithm="brute", metric="cosine").fit(vectors)
    return lambda queries, k: fitted.kneighbors(queries, k, return_distance=False)


def usearch_exact(vectors, folder):
    """`usearch.index.search(…, exact=True)`, which needs no index."""
    from usearch.index import MetricKind, search

    def find(queries, k):
        found = search(vectors, queries, k, MetricKind.Cos, exact=True)
        return np.asarray(found.keys).reshape(len(queries), -1).astype("int64")

    return find


def lancedb_flat(vectors, folder):
    """A LanceDB table without an index: exact; a batch is one request."""
    import lancedb
    import pyarrow as pa

    path = Path(folder, "lance")
    shutil.rmtree(path, ignore_errors=True)
    flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    rows = pa.table({"vector": flat, "row": np.arange(len(vectors))})
    table = lancedb.connect(path).create_table("items", rows)

    def find(queries, k):
        asked = [*queries] if len(queries) > 1 else queries[0]
        found = table.search(asked).metric("cosine").limit(k).select(["row"]).to_arrow()
        if len(queries) > 1:  # they come in the order of queries, which their index tells
            order = np.argsort(found["query_index"].to_numpy(), kind="stable")
            return found["row"].to_numpy()[order].reshape(len(queries), -1)
        return found["row"].to_numpy()[None]

    return find
