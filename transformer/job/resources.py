"""What the process took from the machine, and what it gives back."""

from __future__ import annotations

import ctypes
import functools
import resource
import sys
from pathlib import Path

MIB = 1 << 20

FREE_HEAP = 64 * MIB
"""Free memory that the C library may keep for the next allocation."""


def peak_rss_bytes() -> int:
    """The most memory this process has had resident.

    On Linux from /proc: getrusage starts from the figure of the process that called exec, so a small command started by
    a large scheduler would report the scheduler.
    """
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def trim_heap() -> None:
    """Give memory back to the machine that the C library keeps although it is free, when that is much.

    Each thread allocates from a heap of its own, and each heap keeps what it once needed, whoever needs it now: with
    two workers up to 170 MiB of nothing. Always giving everything back would cost 5 % of the CPU time of a load into
    `null:`, since the next chunk must be given its pages anew. Does nothing where the C library is not glibc.
    """
    heap = _glibc()
    if heap is not None and heap.mallinfo2().fordblks > FREE_HEAP:
        heap.malloc_trim(0)


class _HeapInformation(ctypes.Structure):
    """`struct mallinfo2` of glibc: fordblks are the bytes that are free in all heaps."""

    _fields_ = (
        *((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd")),
        *((name, ctypes.c_size_t) for name in ("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")),
    )


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    """The C library, if it is glibc 2.33 or later."""
    library = ctypes.CDLL(None)
    try:
        library.mallinfo2.restype = _HeapInformation
        library.malloc_trim.argtypes = (ctypes.c_size_t,)
    except AttributeError:
        return None
    return library
