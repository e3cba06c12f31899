"""Rewrites every golden file of the suite: `python -m tests.golden`."""

from tests.contract.wire import golden

if __name__ == "__main__":
    golden.rewrite()
