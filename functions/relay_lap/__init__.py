"""Plans and starts the laps of a lane."""
