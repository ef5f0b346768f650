"""How well the data compresses: from a gzip ratio to the entropy that gives it.

The curves were measured once, with deflate level 6 over 3,000 to 20,000 items of three seeds. They hold within a few
percent for any seed and number of items from about 2,000 on; a test repeats the measurement.
"""

from __future__ import annotations

import bisect

from transformer.errors import UsageError

MIN_RATIO, MAX_RATIO = 4.0, 15.0

_ENTROPIES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.85, 1.0)
# (shape, shuffled) -> JSON bytes per gzip byte at each of these entropies. Shuffling takes the long repetitions away.
_RATIOS = {
    ("users", False): (20.0, 17.8, 15.5, 13.0, 9.91, 7.94, 5.70, 4.55, 4.02, 3.69),
    ("users", True): (18.5, 16.7, 14.7, 12.5, 9.53, 7.69, 5.56, 4.46, 3.94, 3.63),
    ("orders", False): (51.0, 37.8, 27.7, 19.5, 12.4, 9.25, 6.28, 4.87, 4.28, 4.03),
    ("orders", True): (21.8, 19.1, 16.2, 13.2, 9.71, 7.77, 5.65, 4.49, 3.98, 3.76),
    ("shuffled", True): (21.8, 19.1, 16.2, 13.2, 9.71, 7.77, 5.65, 4.49, 3.98, 3.76),
    ("wide", False): (30.1, 25.1, 20.3, 15.4, 10.5, 8.01, 5.65, 4.61, 4.22, 4.09),
    ("wide", True): (11.1, 10.5, 9.64, 8.55, 7.05, 6.06, 4.84, 4.17, 3.90, 3.80),
}


def entropy_for(shape: str, ratio: float, *, shuffle: bool) -> float:
    """The entropy (0 to 1) at which the lines of `shape` compress `ratio` times.

    Raises UsageError for a ratio outside 4 to 15, for a shape whose ratio is fixed, and for one that cannot reach it.
    """
    if not MIN_RATIO <= ratio <= MAX_RATIO:
        raise UsageError(f"gzip ratio {ratio:g} is not within {MIN_RATIO:g} to {MAX_RATIO:g}")
    reached = _RATIOS.get((shape, shuffle))
    if reached is None:
        choosable = ", ".join(sorted({name for name, _ in _RATIOS}))
        raise UsageError(f"the gzip ratio of shape {shape} is fixed", remedy=f"it can be chosen for {choosable}")
    if ratio > reached[0]:
        raise UsageError(f"{shape}, shuffled, compresses at most {reached[0]:g} times", remedy="do not shuffle")
    right = min(max(bisect.bisect_left(reached, -ratio, key=lambda point: -point), 1), len(reached) - 1)
    # The compressed size, the inverse of the ratio, is what grows about evenly with entropy.
    low, high = 1 / reached[right - 1], 1 / reached[right]
    part = min((1 / ratio - low) / (high - low), 1.0)
    return _ENTROPIES[right - 1] + part * (_ENTROPIES[right] - _ENTROPIES[right - 1])
