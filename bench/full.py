"""`python -m bench.full [--json]`: what `bench.quick` asks, with larger inputs, more shapes, more rounds. Minutes."""

from __future__ import annotations

import os

from bench import suite
from bench.quick import main


def plan() -> suite.Plan:
    """About 80 MB of JSON of each shape, and 350 MB to a settled table."""
    return suite.Plan(
        name="full",
        items={"users": 800_000, "orders": 100_000, "wide": 12_000},
        settled_items=400_000,
        rounds=7,
        boto3_bytes=10_000_000,
        cliff_bytes=8_000_000,
        whole_runs=3,
        core=max(os.sched_getaffinity(0)),
    )


if __name__ == "__main__":
    main(plan(), document=True)
