"""SIGINT and SIGTERM: the first asks the run to end after the chunks in hand, the second leaves at once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from transformer.job.stop import StopSwitch

_NOTICE = "the chunks in hand are finished first; the same signal again leaves at once"


@contextlib.contextmanager
def handled(stop: StopSwitch, *, as_log: bool) -> Iterator[None]:
    """Have both signals press `stop` while inside, and say so on stderr, `as_log` as a JSON line.

    Only for the main thread of a command.
    """
    if as_log:
        notice = json.dumps({"event": "stop requested", "level": "warning", "message": _NOTICE})
    else:
        notice = f"\n{_NOTICE}"

    def press(number: int, _frame: FrameType | None) -> None:
        # Only system calls here: the handler may run between any two steps of the main thread, also while it holds the
        # lock of a stream.
        if stop.pressed:
            os._exit(128 + number)
        stop.press(number)
        os.write(2, notice.encode() + b"\n")

    before = {number: signal.signal(number, press) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
