"""The command, in an empty folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from readback.proof import Command


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    """Runs the command; what it leaves behind is removed at the end, for it can be large."""
    command = Command(tmp_path)
    yield command
    command.drop()
