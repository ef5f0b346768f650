"""How fast it is, against what, and at the same result.

`python -m bench.quick` answers within 90 seconds; `python -m bench.full` takes minutes and is the more reliable one.
Each question has a file: `stages` (one core, stage by stage), `peers` (the same bytes through other tools), `settled`
(all the way to a merged table). Figures are medians of interleaved rounds; what counts is the ratio of two of one run.
Nothing is timed before its results were found equal to everybody else's (`checks`).
"""
