"""A lap: one recorder run in one function invocation, from the source to committed segments."""
