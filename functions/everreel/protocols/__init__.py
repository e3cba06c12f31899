"""Sans-IO parsers and clients of the live protocols, and the one place that opens sockets."""
