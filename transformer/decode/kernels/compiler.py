"""How a kernel is compiled, and where the machine code is kept.

The folder of the on-disk cache is named after a hash of every source in this package: numba notices a change in the
file of a cached function, but not in a file whose functions it calls, and would go on serving the old machine code.
The CPU and the bounds-check switch are part of the name as well, because numba's own key leaves the flags out.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import llvmlite.binding
import numba
from numba import njit, types
from numba.core.compiler_lock import global_compiler_lock
from numba.np import arrayobj

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_LOG = logging.getLogger(__name__)


def _state() -> str:
    """A name for the exact state of the sources and the compiler switches that shape the machine code."""
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    switches = [numba.__version__, llvmlite.__version__, *(os.environ.get(f"NUMBA_{name}", "") for name in _SWITCHES)]
    digest.update("\0".join(switches).encode())
    return digest.hexdigest()[:16]


_SWITCHES = ("CPU_NAME", "CPU_FEATURES", "BOUNDSCHECK", "OPT", "DEBUG_INFO")


def _cache_root() -> Path:
    """NUMBA_CACHE_DIR, else the user's cache folder (XDG base directory specification)."""
    if named := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dynamo2ch" / "kernels"


def _prepare_cache() -> Path | None:
    """Point numba at the folder for this state, and return it; None when no such folder can be written.

    numba does not read a cache that it cannot write, so one that was filled when an image was built and is read-only
    now is copied, which takes milliseconds, where compiling takes 20 seconds or more. The copy is this process's own: a
    folder with a name that others can guess would be a way to give us their machine code.
    """
    folder = _cache_root() / _state()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
        filled = any(folder.iterdir())
        if filled and not writable:
            scratch = Path(tempfile.mkdtemp(prefix="dynamo2ch-kernels-"))
            atexit.register(shutil.rmtree, scratch, ignore_errors=True)
            folder, writable = shutil.copytree(folder, scratch / folder.name), True
    except OSError:
        return None
    if not writable:
        return None
    if not filled and not numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
        _LOG.info("compiling the kernels for this machine, once; this takes some 20 seconds")
    numba.config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
    return folder


CACHE = _prepare_cache()
"""Where machine code is kept. None: nothing is kept of what this process compiles; a slower start, the same results."""


def processor() -> str:
    """The processor that kernels are compiled for, as LLVM names it."""
    return str(numba.config.CPU_NAME or llvmlite.binding.get_host_cpu_name())  # type: ignore[attr-defined]


KERNELS: list[Any] = []
"""Every compiled function of the package, so that `dynamo2ch warm` can report cache hits and misses."""


@contextlib.contextmanager
def _plain_indices() -> Iterator[None]:
    """Compile `array[i]` without the code that lets a negative i count from the end.

    No kernel uses that, and it is three instructions and a load for each of some twenty accesses per value: without
    it `walk` takes four fifths of the time. Nobody else's functions are touched: numba compiles one function at a time,
    under the lock that is held here. With bounds checks on, everything stays as numba has it.
    """
    if numba.config.DISABLE_JIT or numba.config.BOUNDSCHECK:  # type: ignore[attr-defined]
        yield
        return
    with global_compiler_lock:
        numbas = arrayobj.fix_integer_index
        arrayobj.fix_integer_index = _index
        try:
            yield
        finally:
            arrayobj.fix_integer_index = numbas


def _index(context: Any, builder: Any, kind: Any, index: Any, _size: Any) -> Any:
    return context.cast(builder, index, kind, types.intp)


def kernel(*signatures: str, merged: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function for exactly these signatures when its module is imported.

    Explicit signatures turn a drift of types into an import error, and make the set to be warmed finite. The global
    interpreter lock is released inside. With NUMBA_DISABLE_JIT the plain function is returned.

    Without numba's run-time library (_nrt) nothing can be allocated, and no references to arrays are counted: with it,
    two thirds of the time of `walk` went into atomic increments and decrements of counters that never mattered.

    merged: for small functions on the hot path. A call passes seven machine words for each array, which can cost more
    than the function does, so LLVM is told to merge it into its callers.
    """

    def wrap(function: Callable[..., Any]) -> Any:
        options: dict[str, Any] = {"cache": CACHE is not None, "nogil": True, "forceinline": merged, "_nrt": False}
        with _plain_indices():
            compiled = njit(list(signatures), **options)(function)
        KERNELS.append(compiled)
        return compiled

    return wrap
