"""Index files: a cache that is read only if this user's own programs wrote it.

faiss trusts what it reads: a file made for the purpose can crash a process or worse. A gallery may
come from a stranger, and everything inside it with it, so no checksum inside the gallery shows that
its index file is harmless. Therefore the SHA-256 of each index file that is written is noted in the
user's cache folder. A file whose digest is not noted there is ignored, and the index is built again
from the vectors. This also ignores damaged files.
"""

import hashlib
import json
import os
import tempfile
from pathlib import Path

import numpy as np

from keras_proxygml.metrics._exact.threads import faiss_after_fork
from keras_proxygml.search.index import Index

MAGIC = b"keras_proxygml index 1\n"
BUFFER = 2**20  # bytes that faiss reads or writes at a time


def noted_digests() -> Path:
    """The file that lists the digests of the index files that this user's programs wrote."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "keras_proxygml" / "index_digests.txt"


@faiss_after_fork()
def write_index(index: Index, path: str | os.PathLike, version: str | int) -> None:
    """Writes an index to a file, atomically, and notes its digest.

    Args:
        index: The index.
        path: The file. If it exists, it is replaced.
        version: What the vectors were when it was built. `read_index` asks for it.
    """
    path = Path(path)
    head = {"factory": index.factory, "covered": index.covered, "version": version}
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(handle, "w+b") as file:
            file.write(MAGIC + json.dumps(head).encode() + b"\n")
            np.save(file, index.rows)
            _write_faiss(index.index, file)
            file.flush()
            os.fsync(file.fileno())
            file.seek(0)
            _note(hashlib.file_digest(file, "sha256").hexdigest())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


@faiss_after_fork()
def read_index(
    path: str | os.PathLike, factory: str, version: str | int, *, settings: str = ""
) -> Index | None:
    """Reads an index that `write_index` wrote.

    Args:
        path: The file.
        factory: The index that is wanted, as faiss's `index_factory` names it.
        version: What the vectors are now.
        settings: Settings of the search.

    Returns:
        The index. None if there is no file, if it is of another index or version, if it is damaged,
        or if no program of this user wrote it. Then build the index again.
    """
    try:
        with open(path, "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() not in _noted():
                return None
            file.seek(len(MAGIC))
            head = json.loads(file.readline())
            if (head["factory"], head["version"]) != (factory, version):
                return None
            rows = np.load(file, allow_pickle=False)
            index = _read_faiss(file, settings)
    except FileNotFoundError:
        return None
    return Index(factory, settings, head["covered"], rows, index)


def _write_faiss(index, file):
    import faiss

    writer = faiss.BufferedIOWriter(faiss.PyCallbackIOWriter(file.write), BUFFER)
    faiss.write_index(index, writer)  # the writer writes the rest when it is deleted


def _read_faiss(file, settings):
    import faiss

    reader = faiss.BufferedIOReader(faiss.PyCallbackIOReader(file.read), BUFFER)
    index = faiss.read_index(reader)
    if settings:
        faiss.ParameterSpace().set_index_parameters(index, settings)
    return index


def _noted():
    try:
        return set(noted_digests().read_text().split())
    except OSError:
        return set()


def _note(digest):
    """Notes a digest. Without a folder to write to, the index is built again each time."""
    path = noted_digests()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a") as file:
            file.write(f"{digest}\n")
    except OSError:
        pass
