"""xorshift64* in plain Python."""

from __future__ import annotations

MASK = (1 << 64) - 1


class Xorshift:
    """The generator of `rmqueue.mm.random`, with unbounded integers."""

    def __init__(self, seed: int) -> None:
        self.state = 88172645463325252 ^ (seed * 0x9E3779B97F4A7C15 & MASK)
        for _ in range(20):
            self.bits()

    def bits(self) -> int:
        s = self.state
        s = (s ^ (s << 13)) & MASK
        s ^= s >> 7
        s = (s ^ (s << 17)) & MASK
        self.state = s
        return s * 0x2545F4914F6CDD1D & MASK

    def below(self, bound: int) -> int:
        return self.bits() % bound

    def share(self) -> int:
        return self.bits() >> 11
