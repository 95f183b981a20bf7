"""Machines, workloads, trace readers, reporters and experiments that come with rmqueue.

Each module is a plugin like any other: it has an entry point of the group ``rmqueue``
and implements hooks of `rmqueue.hookspecs`.
"""
