"""The compiled part of decode: bytes and arrays in, arrays and status codes out. No Arrow, no I/O, no policy.

`compiler` is the only module in which numba decorators appear, `primitives` the only one with LLVM in it.
"""
