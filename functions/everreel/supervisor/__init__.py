"""Keeps recordings alive until they are sealed: policy in Python, the state machine only waits."""
