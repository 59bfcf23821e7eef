"""The packages that the search page takes, which are no dependency of the library."""

import importlib

NEEDED = {"fastapi": "FastAPI", "uvicorn": "uvicorn", "python_multipart": "python-multipart"}


def check_packages() -> None:
    """Raises unless FastAPI, uvicorn and python-multipart can be imported.

    Raises:
        ImportError: If one is missing. The error names the extra to install.
    """
    for module, name in NEEDED.items():
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise ImportError(
                f"The search page takes {name}, which is not installed. Run "
                "`pip install 'keras-proxygml[serve]'`."
            ) from error
