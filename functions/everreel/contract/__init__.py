"""The words on the wire: what doors accept and answer, what functions tell each other."""
