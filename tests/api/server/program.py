"""The server as a process of its own, with a scripted reader: what the fault tests start and kill.

``python program.py STORE [--text-length N] [--token-seconds S] [--page-seconds S] [--tenants a,b]`` prints
one JSON line with its URL (and the tenants' keys) when it listens.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from hydra_rag_api.server.limits import ServerSettings
from hydra_rag_api.server.run import serve
from tests.api.server.conftest import SlowReader, SlowReading, fixed, make_rag


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("store", type=Path)
    parser.add_argument("--text-length", type=int, default=0)
    parser.add_argument("--token-seconds", type=float, default=0.0)
    parser.add_argument("--page-seconds", type=float, default=0.0)
    parser.add_argument("--tenants", default="")
    parser.add_argument("--drain-seconds", type=float, default=5.0)
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    SlowReading.seconds = given.token_seconds
    text = ("word " * given.text_length)[: given.text_length] or "42 EUR"
    rag = make_rag(given.store, reader=SlowReader(fixed(text)), seconds=given.page_seconds)
    keys = {}
    if given.tenants:
        from hydra_rag.store.keys import create_key

        keys = {name: create_key(rag.store, name).secret for name in given.tenants.split(",")}
    settings = ServerSettings(port=given.port, drain_seconds=given.drain_seconds)

    def listening(url: str) -> None:
        print(json.dumps({"url": url, "keys": keys}), flush=True)

    return serve(rag, settings, listening=listening)


if __name__ == "__main__":
    sys.exit(main())
