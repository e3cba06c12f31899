"""Starts the recording that an event or the console asks for."""
