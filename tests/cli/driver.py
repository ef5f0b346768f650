"""The command with the slow twin in place of the compiled decoder, and with decoding that waits on cue.

Run as a program: the arguments are those of the command. DRIVER says what decoding waits for: nothing (unset), a
signal (`signal`), or for ever (`hang`); with `bug` it fails. Chunks are ten items long, so that small exports have
several.
"""

from __future__ import annotations

import os
import sys
import threading
import types
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from job.twin import TwinDecoder

from transformer.job.stop import StopSwitch
from transformer.load.chunks import ChunkLimits

_pressed = threading.Event()
_never = threading.Event()


class Decoder(TwinDecoder):
    """Says `decoding` on stderr before its first step, then waits for what DRIVER names."""

    RECORDS = 3
    _first = True

    def __init__(self, table: object, **options: object) -> None:
        super().__init__(table, before=self._before_step, **options)  # type: ignore[arg-type]

    def _before_step(self) -> None:
        if Decoder._first:
            Decoder._first = False
            os.write(2, b"decoding\n")
        wait_for = os.environ.get("DRIVER")
        if wait_for == "signal":
            _pressed.wait()
        elif wait_for == "hang":
            _never.wait()
        elif wait_for == "bug":
            raise ZeroDivisionError("division by zero")


class Switch(StopSwitch):
    """Tells the decoder that it was pressed."""

    def press(self, signal: int = 0) -> None:
        super().press(signal)
        _pressed.set()


def install() -> None:
    """Put everything in place."""
    module = types.ModuleType("transformer.decode.decoder")
    module.Decoder = Decoder  # type: ignore[attr-defined]
    module.SLACK = 64  # type: ignore[attr-defined]
    module.REVISION = 0  # type: ignore[attr-defined]
    sys.modules["transformer.decode.decoder"] = module
    sys.modules["transformer.job.stop"].StopSwitch = Switch  # type: ignore[misc,attr-defined]
    ChunkLimits.for_table = classmethod(lambda cls, _table: cls(items=10, bytes=1 << 26))  # type: ignore[assignment,method-assign]


if __name__ == "__main__":
    install()
    from transformer.cli.main import main

    main()
