"""A long differential test of decoding: the compiled kernels against the slow twin, on lines that nobody would write.

`python -m fuzz --cases 1000000` makes tables and valid lines from a seed, breaks the lines, and asks both engines for
rows and rejects. A line that leads to a verdict not seen before on its table is broken further. A difference, an
exception and a crash of the process all end the run: the lines at fault are made as few and as short as they can be and
saved, with the command that runs them again.

Hypothesis draws the cases of `tests/decode`, which it can shrink well and makes slowly. Here a million cases take
minutes, because a case is a few changed bytes.
"""
