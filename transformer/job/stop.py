"""The orderly stop of a run: by a signal, or because too much was rejected."""

from __future__ import annotations


class StopSwitch:
    """Asks a run to end after the chunks in hand. May be pressed from any thread and from a signal handler.

    The run decodes and inserts the chunks that its workers have begun, begins no other, and reports what is loaded.
    A plain flag and no Event: a handler that interrupts whoever holds the lock of an Event would wait for ever.
    """

    def __init__(self) -> None:
        self.pressed = False
        self.signal = 0

    def press(self, signal: int = 0) -> None:
        """Ask for the end; `signal` is the number of the signal that asks, or 0. The first one counts."""
        if not self.pressed:
            self.signal = signal
            self.pressed = True
