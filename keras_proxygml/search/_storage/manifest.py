"""The manifest of a gallery: the one file that says which catalog is valid."""

import json
import os
import re
import zlib
from typing import NamedTuple

from keras_proxygml.checks import refuse
from keras_proxygml.search._storage.files import check_regular, refuse_damaged, replace_file

NAME = "manifest.json"
FORMAT = "keras_proxygml gallery"
FORMAT_VERSION = 1
CATALOG = re.compile(r"catalog-[0-9]{8,20}\.db")
LARGEST = 2**16  # bytes; a manifest has about 200


class Manifest(NamedTuple):
    """What a gallery's folder holds.

    `catalog_checksum` is that of the catalog's file while the gallery has no writer, and
    `None` from a writer's first change until it closes the gallery. `version` is at most the
    catalog's: the catalog changes first.
    """

    catalog: str
    version: int
    catalog_checksum: str | None


def write_manifest(folder, manifest):
    """Replaces the manifest, which is the moment at which a new catalog becomes valid."""
    content = {"format": FORMAT, "format_version": FORMAT_VERSION, **manifest._asdict()}
    content["checksum"] = _checksum(content)
    replace_file(folder / NAME, json.dumps(content, indent=1).encode() + b"\n")


def read_manifest(folder):
    """Reads the manifest of a gallery.

    Args:
        folder: The gallery's folder, a path.

    Returns:
        The `Manifest`.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it is no gallery, or one of a newer version, or damaged.
    """
    if not os.path.isdir(folder):
        error = NotADirectoryError if os.path.exists(folder) else FileNotFoundError
        refuse("path", "be the folder of a gallery", f"path={str(folder)!r}", error=error)
    if not os.path.lexists(folder / NAME):
        hint = "Is it another folder, or was the file deleted?"
        refuse("path", "be the folder of a gallery", f"{folder}, which has no {NAME}", hint)
    if (size := check_regular(folder / NAME)) > LARGEST:
        refuse_damaged(folder, f"{NAME} has {size} bytes")
    try:
        content = json.loads((folder / NAME).read_bytes())
    except (ValueError, RecursionError):
        refuse_damaged(folder, f"{NAME} is no JSON")
    return _parsed(folder, content)


def _parsed(folder, content):
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        refuse_damaged(folder, f"{NAME} is of another format")
    version = content.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        hint = "Upgrade keras_proxygml."
        allowed = f"be a gallery of format {FORMAT_VERSION} or older"
        refuse("path", allowed, f"{folder} of format {version}", hint)
    checksum = content.pop("checksum", None)
    if version != FORMAT_VERSION or checksum != _checksum(content):
        refuse_damaged(folder, f"{NAME} has changed since it was written")
    try:
        manifest = Manifest(**{name: content[name] for name in Manifest._fields})
        is_named = bool(CATALOG.fullmatch(manifest.catalog))
    except (KeyError, TypeError):
        refuse_damaged(folder, f"{NAME} lacks an entry")
    if not is_named:
        refuse_damaged(folder, f"{NAME} names {manifest.catalog!r} as the catalog")
    if not isinstance(manifest.version, int) or manifest.version < 0:
        refuse_damaged(folder, f"{NAME} has version {manifest.version!r}")
    return manifest


def _checksum(content):
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())
