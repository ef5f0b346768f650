"""Every Python example of docs/library.md runs as it stands, on the export that the page makes."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
(COMMAND,) = re.findall(r"```sh\n(.*?)\n```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the export and the schema files that the examples read."""
    from transformer.cli.main import main

    path = tmp_path_factory.mktemp("examples")
    shutil.copytree(ROOT / "schemas", path / "schemas")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        patch.setattr(sys, "argv", shlex.split(COMMAND))
        with pytest.raises(SystemExit) as left:
            main()
    assert not left.value.code
    return path


def test_there_are_examples_for_everybody() -> None:
    for library in ("polars", "duckdb", "pandas", "read_export", "scan_export", "decode_lines"):
        assert any(library in example for example in EXAMPLES), library


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_example_runs(
    number: int, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    exec(compile(EXAMPLES[number], f"docs/library.md example {number + 1}", "exec"), {})
    printed = capsys.readouterr().out
    assert printed or "print" not in EXAMPLES[number]
    if "rejected" in EXAMPLES[number]:
        assert printed == "1 [(1, 'INEXACT', 'age')]\n"
