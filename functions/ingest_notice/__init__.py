"""Where everything that is told by notice comes together."""
