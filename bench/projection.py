"""What a projection saves: one column against all columns, decoded from the same blocks, interleaved, as CPU ratios.

Run as `python -m bench.projection`; the figures of docs/library.md are from it.
"""

from __future__ import annotations

import sys

import numpy as np

from bench.inputs import ensure
from bench.worker import cpu_seconds
from transformer.decode.decoder import SLACK, Decoder

ROUNDS = 5
ITEMS = 20_000


def main() -> None:
    """Print, for each shape, the CPU time of one column as a share of that of all."""
    for shape in ("users", "orders", "wide"):
        source = ensure(shape, ITEMS, 4)
        data = b"".join(source.lines(ITEMS))
        buffer = np.zeros(len(data) + SLACK, np.uint8)
        buffer[: len(data)] = np.frombuffer(data, np.uint8)
        table = source.table
        chosen = [None, [table.columns[len(table.columns) // 2].name]]
        decoders = [Decoder(table, version=0, wanted=columns) for columns in chosen]
        best = [float("inf"), float("inf")]
        for _ in range(ROUNDS):
            for number, decoder in enumerate(decoders):
                begin, at = cpu_seconds(), 0
                while at < len(data):
                    at += decoder.step(buffer, at, len(data), max_items=1 << 40, max_bytes=1 << 40).size
                best[number] = min(best[number], cpu_seconds() - begin)
        sys.stdout.write(
            f"{shape}: 1 of {len(table.columns)} columns takes {best[1] / best[0]:.2f} of the CPU time of all "
            f"({len(data) / best[0] / 1e6:,.0f} and {len(data) / best[1] / 1e6:,.0f} MB/s of JSON)\n"
        )


if __name__ == "__main__":
    main()
