"""
What `make bench` runs: each figure with its aim, as the median of several runs.

Nothing here is asserted. A figure belongs to the machine it was measured on, and
`docs/benchmarks.md` says which that was.
"""
