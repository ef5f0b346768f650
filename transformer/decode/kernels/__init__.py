"""The compiled part of decode: bytes and arrays in, arrays and status codes out. No Arrow, no I/O, no policy.

`compiler` is the only module in which numba decorators appear, `primitives` the only one with LLVM in it. Kernels are
compiled when their modules are imported, so only commands that decode import them: for the processor of this machine,
or for the one that DYNAMO2CH_KERNEL_CPU names (x86-64-v3, neoverse-n1 …). Then what one machine compiled serves every
machine that has at least that processor; x86-64-v3 costs a few per cent where the machine has more.
"""

import os as _os

if _named := _os.environ.get("DYNAMO2CH_KERNEL_CPU"):
    # Both, before numba is imported: with the name alone, the features are those of the host, and no cache is shared.
    _os.environ["NUMBA_CPU_NAME"] = _named
    _os.environ["NUMBA_CPU_FEATURES"] = ""
