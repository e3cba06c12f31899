"""The HTTP door: routes, problems, and the way in from the gateway."""
