"""What is read: exports made once from a seed and kept in `.dynamo2ch/bench/`."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from functools import cache as cache_once
from itertools import islice
from pathlib import Path

from isal import igzip

from transformer.schema.file import load_schema
from transformer.schema.table import Table
from transformer.synth import write_export

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".dynamo2ch" / "bench"
SEED = 8
SCHEMAS = {"shuffled": "orders", "sparse": "wide"}
"""Schema files of the shapes that have none of their own name."""

SAMPLE_LINES = 2_000
"""Items that are looked at to tell tags: enough that the rarest attribute of the shapes occurs dozens of times."""


@dataclass(frozen=True, slots=True)
class Input:
    """One export. json_bytes, gz_bytes: of all its data files together."""

    shape: str
    items: int
    ratio: int | None
    files: int
    folder: str
    json_bytes: int
    gz_bytes: int

    @property
    def paths(self) -> list[Path]:
        """The data files."""
        return sorted(Path(self.folder).glob("data/*.json.gz"))

    @property
    def pattern(self) -> str:
        """The data files as ClickHouse's `file` takes them."""
        return f"{self.folder}/data/*.json.gz"

    @property
    def gzip_ratio(self) -> float:
        """JSON bytes for each gzip byte."""
        return self.json_bytes / self.gz_bytes

    def sample(self) -> list[bytes]:
        """The lines that are looked at to tell tags."""
        return self.lines(SAMPLE_LINES)

    @property
    def table(self) -> Table:
        """What it is loaded into."""
        return load_schema(ROOT / "schemas" / f"{SCHEMAS.get(self.shape, self.shape)}.yaml")

    def lines(self, count: int) -> list[bytes]:
        """The first `count` lines, or all if there are fewer."""
        with igzip.open(self.paths[0]) as file:
            return list(islice(file, count))

    def text(self) -> bytes:
        """All lines."""
        return b"".join(igzip.decompress(path.read_bytes()) for path in self.paths)


def ensure(shape: str, items: int, ratio: int | None, *, files: int = 1, cache: Path = CACHE) -> Input:
    """The export of these arguments, made if it is not there yet."""
    folder = cache / "inputs" / f"{shape}-{items}-ratio{ratio}-files{files}-seed{SEED}-{_generator()}"
    marker = folder / "complete.json"
    if not marker.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        made = write_export(folder, shape=shape, items=items, files=files, seed=SEED, ratio=ratio)
        figures = {"path": str(made.path.relative_to(folder)), "json_bytes": made.json_bytes, "gz_bytes": made.gz_bytes}
        marker.write_text(json.dumps(figures))
    figures = json.loads(marker.read_text())
    path = str((folder / figures["path"]).absolute())
    return Input(shape, items, ratio, files, path, figures["json_bytes"], figures["gz_bytes"])


@cache_once
def _generator() -> str:
    """Some digits of the generator's sources: another generator makes other files."""
    digest = hashlib.sha256()
    for source in sorted((ROOT / "transformer" / "synth").glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:8]
