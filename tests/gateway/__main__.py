"""`python -m gateway --path DIR`: serve one database, in this process, until standard input ends. Prints the port."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from gateway import Engine, Gateway


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(prog="python -m gateway")
    parser.add_argument("--path", required=True, help="folder of the database")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--user", default="default")
    parser.add_argument("--password", default="")
    given = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the engine may print; the port keeps the pipe to itself
    # Older engines wait for more data on standard input when they insert from a file.
    told_to_end = os.fdopen(os.dup(0))
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)
    with tempfile.TemporaryDirectory(prefix="gateway") as scratch:
        engine = Engine(given.path, Path(scratch))
        gateway = Gateway(engine, user=given.user, password=given.password, port=given.port, control=True)
        print(gateway.port, file=answers, flush=True)
        told_to_end.read()
        gateway.close()
        engine.close()


if __name__ == "__main__":
    main()
