"""Every kernel compiled for this machine, or found compiled: what an image build and an image test ask for."""

from __future__ import annotations

import importlib
import pkgutil
import time
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Warmth:
    """What it took to have every kernel ready.

    kernels: how many there are. hits, misses: how many were found in the cache, and how many were compiled and, if
    there is one, put into it. cache: its folder, None when none can be written. cpu: the processor compiled for, as
    LLVM names it. seconds: the whole.
    """

    kernels: int
    hits: int
    misses: int
    cache: str | None
    cpu: str
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """As it is printed."""
        return asdict(self)


def warm() -> Warmth:
    """Import every kernel module, which compiles what the cache does not hold: some 20 seconds, or half a second."""
    begin = time.perf_counter()
    from transformer.decode import kernels
    from transformer.decode.kernels import compiler

    for module in pkgutil.iter_modules(kernels.__path__):
        importlib.import_module(f"{kernels.__name__}.{module.name}")
    stats = [kernel.stats for kernel in compiler.KERNELS]
    hits = sum(sum(one.cache_hits.values()) for one in stats)
    misses = sum(sum(one.cache_misses.values()) for one in stats)
    if compiler.CACHE is None:
        misses = len(compiler.KERNELS)
    return Warmth(
        kernels=len(compiler.KERNELS),
        hits=hits,
        misses=misses,
        cache=None if compiler.CACHE is None else str(compiler.CACHE),
        cpu=compiler.processor(),
        seconds=round(time.perf_counter() - begin, 3),
    )
