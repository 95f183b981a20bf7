"""What plugin authors and checks use: conformance tests, golden vectors, streams."""
