"""`python -m everreel.cli`, where the script is not installed."""

import sys

from everreel.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
