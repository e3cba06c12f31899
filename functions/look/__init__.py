"""One look of the state machine at a recording."""
