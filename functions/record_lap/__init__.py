"""One lap of a recording; invoked asynchronously, at most once per lap that writes."""
