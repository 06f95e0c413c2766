"""The gRPC face: one servicer a file; `convert` is the only place where proto meets domain."""
