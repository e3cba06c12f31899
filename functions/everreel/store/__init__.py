"""Object storage and the commit protocol: what is committed is never lost."""
