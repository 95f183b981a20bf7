"""The jitted floor, named after the kernel's ``mm/``: numpy and numba only.

Every function here mirrors one function of the kernel and carries its name.  Pages are
named by their *zone-relative pfn*, ``pfn - zone.base``: the base is a multiple of the
largest block, so buddy arithmetic is the same as on absolute pfns, and links fit 32
bits whatever the zone's start.
"""
