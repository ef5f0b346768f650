"""`python -m bench.quick [--json]`: every question, in less than 90 seconds once its inputs are made."""

from __future__ import annotations

import argparse
import os

from bench import report, suite
from bench.document import write


def plan() -> suite.Plan:
    """About 17 MB of JSON of each shape, and 52 MB to a settled table."""
    return suite.Plan(
        name="quick",
        items={"users": 160_000, "orders": 20_000, "wide": 2_400},
        settled_items=60_000,
        cliff_bytes=2_000_000,
        whole_runs=2,
        core=max(os.sched_getaffinity(0)),
    )


def main(what: suite.Plan, *, document: bool = False) -> None:
    """Measure, keep, show. document: write the charts and the page of the documentation too."""
    parser = argparse.ArgumentParser(prog=f"python -m bench.{what.name}")
    parser.add_argument("--json", action="store_true", help="print the record instead of tables")
    arguments = parser.parse_args()
    record = suite.run(what)
    report.keep(record)
    if document:
        write(record)
    report.show(record, as_json=arguments.json)


if __name__ == "__main__":
    main(plan())
