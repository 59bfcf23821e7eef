"""What the search page is told."""

import dataclasses
import os
import re
from pathlib import Path

from keras_proxygml.checks import check_integer, check_number, refuse

TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,}")


@dataclasses.dataclass(frozen=True)
class Settings:
    """The arguments of `make_app`, checked.

    Raises:
        ValueError: If one is not allowed.
    """

    token: str | None
    title: str
    images: str | os.PathLike[str]
    uploads: str | os.PathLike[str] | None
    max_bytes: int
    max_pixels: int
    upload_seconds: float

    def __post_init__(self) -> None:
        if self.token is not None and not TOKEN.fullmatch(str(self.token)):
            hint = "Take secrets.token_urlsafe()."
            allowed = "be 16 or more letters, digits and . _ ~ -"
            refuse("token", allowed, f"{len(str(self.token))} characters", hint)
        check_integer("max_bytes", self.max_bytes, 1)
        check_integer("max_pixels", self.max_pixels, 1)
        check_number("upload_seconds", self.upload_seconds, "(0, inf)")
        for name in ("images", "uploads"):
            folder = getattr(self, name)
            if folder is not None and not Path(folder).is_dir():
                refuse(name, "be a folder that is there", f"{name}={str(folder)!r}")
