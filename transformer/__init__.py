"""dynamo2ch: move a DynamoDB table into ClickHouse, exactly, and prove that it arrived.

As a library it reads exports: `read_export`, `scan_export` and `decode_lines`. They are imported when they are first
used, so that `import transformer` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformer.reader.batches import decode_lines, read_export
    from transformer.reader.frames import scan_export
    from transformer.reader.rejects import RejectedLine
    from transformer.schema.file import load_schema

__version__ = "0.1.0"

__all__ = ["RejectedLine", "__version__", "decode_lines", "load_schema", "read_export", "scan_export"]

_HOMES = {
    "decode_lines": "transformer.reader.batches",
    "read_export": "transformer.reader.batches",
    "scan_export": "transformer.reader.frames",
    "RejectedLine": "transformer.reader.rejects",
    "load_schema": "transformer.schema.file",
}


def __getattr__(name: str) -> object:
    """Import what is asked for from where it lives (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(home), name)
