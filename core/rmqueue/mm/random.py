"""Random numbers: xorshift64*, the same on every machine, with the JIT and without.

A number is 64 bits in a signed integer.  Probabilities are integers as well: a share is
the number of the 2**53 equally likely draws that are below it (`chance_of`).
"""

from __future__ import annotations

from typing import Any

from rmqueue.mm.jit import jit, wrapping_mul

_LOW_57, _LOW_53, _LOW_63 = (1 << 57) - 1, (1 << 53) - 1, (1 << 63) - 1
_MULTIPLIER = 0x2545F4914F6CDD1D
_MASK = (1 << 64) - 1
#: Draws that are thrown away after seeding.
_DISCARDED = 20


@jit(forceinline=True)
def draw(random: Any) -> int:
    """Next 64 bits, as a signed number; `random` is any record with a field ``rng``."""
    s = random.rng
    s ^= wrapping_mul(s, 1 << 13)
    s ^= (s >> 7) & _LOW_57
    s ^= wrapping_mul(s, 1 << 17)
    random.rng = s
    return int(wrapping_mul(s, _MULTIPLIER))


@jit(forceinline=True)
def draw_below(random: Any, bound: int) -> int:
    """Draw a number from 0 to below a bound: the 64 bits modulo the bound, unsigned."""
    out = draw(random)
    high, low = (out >> 1) & _LOW_63, out & 1
    return int((high % bound * 2 + low) % bound)


@jit(forceinline=True)
def draw_share(random: Any) -> int:
    """Draw a number from 0 to below 2**53, to be compared with `chance_of` a share."""
    return int((draw(random) >> 11) & _LOW_53)


def chance_of(share: float, scale: float = 1.0) -> int:
    """Draws that are below a share, when each stands for ``draw * 2**-53 * scale``.

    Parameters
    ----------
    share : float
        What a draw is compared with.
    scale : float
        What a draw is multiplied with before, in double precision.

    Examples
    --------
    >>> chance_of(0.5) == 1 << 52
    True
    """
    low, high = 0, 1 << 53
    while low < high:
        middle = (low + high) // 2
        if middle * 2.0**-53 * scale < share:
            low = middle + 1
        else:
            high = middle
    return low


def seeded(seed: int) -> int:
    """State of the generator for a seed, as a signed number."""
    s = 88172645463325252 ^ (seed * 0x9E3779B97F4A7C15 & _MASK)
    for _ in range(_DISCARDED):
        s ^= s << 13 & _MASK
        s ^= s >> 7
        s ^= s << 17 & _MASK
    return s - (1 << 64) if s >> 63 else s
