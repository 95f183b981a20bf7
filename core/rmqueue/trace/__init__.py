"""Traces of real kernels: their events, and what these say about the allocator."""
