"""Lambda layers: other people's code only, built without Docker."""
