"""Who hears whom: topologies of islands, those of the bridge and those in one process."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence


def heard_by(
    me: str,
    names: Collection[str],
    topology: str,
    *,
    centre: str | None = None,
    degree: int = 2,
    custom: Sequence[str] = (),
) -> list[str]:
    """Return the islands that ``me`` subscribes to, sorted.

    Args:
        me: this island.
        names: all islands; ``me`` may be left out.
        topology: "full": all others. "ring": the one before in the order of names. "star": the centre hears all,
            the others the centre. "random": ``degree`` of the others. "custom": those of ``custom`` that exist.
        centre: of a star; by default the first in order.
        degree: how many, for "random".
        custom: who, for "custom".

    All islands that know the same names agree; "random" is drawn by a hash of the names, so that a peer that comes
    or goes changes few of the others' choices.
    """
    everybody = sorted({*names, me})
    others = [name for name in everybody if name != me]
    if topology == "full":
        return others
    if topology == "ring":
        return [everybody[everybody.index(me) - 1]] if others else []
    if topology == "star":
        middle = centre or everybody[0]
        if me == middle:
            return others
        return [middle] if middle in others else []
    if topology == "random":
        return sorted(sorted(others, key=lambda name: _score(me, name))[:degree])
    return [name for name in others if name in custom]


def _score(me: str, name: str) -> bytes:
    """Rendezvous hashing: each pair has its own number, so one name more or less moves nothing else."""
    return hashlib.blake2b(f"{me} {name}".encode(), digest_size=8).digest()
