"""The state of recordings: rows, the transition table, and the repository that guards them."""
