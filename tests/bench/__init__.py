"""Benchmarks against what everybody has: FFmpeg's copy recorder, the import of boto3.

`python -m tests.bench` (or `make bench`) runs them. A group of figures is a `Group` in a module
that `registry.MODULES` names; everything else (rounds, medians, table, results) is done here.
"""
