"""The command line, one module per command; each imports what it needs when it is asked for."""

from everreel.cli.main import main as main
