"""AWS-shaped exports, made up from a seed: for tests, benchmarks and demonstrations."""

from transformer.synth.export import WrittenExport, WrittenFile, write_export
from transformer.synth.shapes import blocks, lines, shape_names

__all__ = ["WrittenExport", "WrittenFile", "blocks", "lines", "shape_names", "write_export"]
