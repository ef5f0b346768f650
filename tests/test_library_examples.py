"""Every Python example of these pages runs as it stands, on what the commands of the page make."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = {name: (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("library", "parquet")}
EXAMPLES = [
    (name, text) for name, page in PAGES.items() for text in re.findall(r"```python\n(.*?)```", page, re.DOTALL)
]
COMMANDS = [
    line
    for page in PAGES.values()
    for block in re.findall(r"```sh\n(.*?)\n```", page, re.DOTALL)
    for line in block.splitlines()
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the exports and the schema files that the examples read."""
    from transformer.cli.main import main

    path = tmp_path_factory.mktemp("examples")
    shutil.copytree(ROOT / "schemas", path / "schemas")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        for command in COMMANDS:
            if " synth " in command:  # each page makes its own
                shutil.rmtree(path / "export", ignore_errors=True)
            patch.setattr(sys, "argv", shlex.split(command))
            with pytest.raises(SystemExit) as left:
                main()
            assert not left.value.code, command
    return path


def test_there_are_examples_for_everybody() -> None:
    for library in ("polars", "duckdb", "pandas", "read_export", "scan_export", "decode_lines"):
        assert any(library in example for _, example in EXAMPLES), library


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_example_runs(
    number: int, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    page, example = EXAMPLES[number]
    exec(compile(example, f"docs/{page}.md example {number + 1}", "exec"), {})
    printed = capsys.readouterr().out
    assert printed or "print" not in example
    if "rejected" in example:
        assert printed == "1 [(1, 'INEXACT', 'age')]\n"
    if "DISTINCT" in example:
        assert printed == "[(1000, 1000)]\n"
