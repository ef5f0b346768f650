"""Settings and fixtures that every test may use: hypothesis profiles, and the one embedded engine of this process."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from transformer.load.destination import Destination

# Chosen by HYPOTHESIS_PROFILE. Deadlines are off: the first example of a kernel test pays for compilation.
# A failing example is printed as a blob to be added as @reproduce_failure, then kept as a named test.
hypothesis.settings.register_profile("dev", max_examples=100, deadline=None, print_blob=True)
hypothesis.settings.register_profile("ci", max_examples=100, deadline=None, print_blob=True, derandomize=True)
hypothesis.settings.register_profile("nightly", max_examples=5000, deadline=None, print_blob=True)
hypothesis.settings.register_profile("few", max_examples=15, deadline=None, print_blob=True, derandomize=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def chdb_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of this process's embedded database. A process can open one path only, so every test uses this one."""
    directory: Path = tmp_path_factory.mktemp("engine") / "chdb"
    return f"chdb://{directory}"


@pytest.fixture
def unique_name() -> str:
    """A table or database name that no other test of this process uses."""
    return f"test_{next(_numbers)}"


@pytest.fixture(scope="session")
def chdb_destination(chdb_url: str) -> Iterator[Destination]:
    """The embedded destination of this process, open to the end: others on the same URL share its engine."""
    from transformer.load.destination import open_destination

    destination = open_destination(chdb_url)
    yield destination
    destination.close()
