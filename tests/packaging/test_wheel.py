"""What is released: a wheel and a source archive that hold what they should, and that load an export where nothing
else of this folder is."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from transformer import __version__

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DYNAMO2CH"))}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel, which is built from the source archive, and that archive."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder, cwd=ROOT)
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    source = folder / sdist.name.removesuffix(".tar.gz")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=source)
    (wheel,) = folder.glob("*.whl")
    return wheel, sdist


def test_the_wheel_holds_the_package_and_nothing_else(built: tuple[Path, Path]) -> None:
    wheel, _ = built
    assert __version__ in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "transformer/py.typed" in names
    assert {name.split("/")[0] for name in names} == {"transformer", f"dynamo2ch-{__version__}.dist-info"}
    wanted = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "transformer").rglob("*")
        if path.is_file() and path.suffix not in (".pyc", ".nbi", ".nbc")
    }
    assert wanted <= set(names)


def test_the_source_archive_holds_tests_and_docs_and_no_leftovers(built: tuple[Path, Path]) -> None:
    _, sdist = built
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for name in ("README.md", "LICENSE", "docs/cli.md", "tests/conftest.py", "schemas/users.yaml", "Makefile"):
        assert name in names
    assert not [name for name in names if ".dynamo2ch" in name or "__pycache__" in name or name.startswith(".venv")]


def test_what_is_installed_from_the_wheel_loads_an_export(built: tuple[Path, Path], tmp_path: Path) -> None:
    wheel, _ = built
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    # The pinned versions, as a user who wants the tested ones would.
    run(python, "-m", "pip", "install", "--quiet", "--requirement", ROOT / "requirements.txt", cwd=tmp_path)
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", wheel, cwd=tmp_path)
    run(python, "-m", "pip", "check", cwd=tmp_path)
    command = tmp_path / "env" / "bin" / "dynamo2ch"
    assert run(command, "--version", cwd=tmp_path) == f"dynamo2ch {__version__}\n"
    run(command, "synth", "export", "--items", "100", "--files", "2", cwd=tmp_path)
    schema = ROOT / "schemas" / "users.yaml"
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "kernels")}
    told = run(command, "snapshot", "export", "--schema", schema, cwd=tmp_path, **cache)
    assert told.startswith("complete: ")
    assert run(command, "query", "SELECT count() FROM users FINAL FORMAT TSV", cwd=tmp_path) == "100\n"
    program = f"import transformer; print(transformer.read_export('export', {str(schema)!r}).read_all().num_rows)"
    assert run(python, "-c", program, cwd=tmp_path, **cache) == "100\n"
