"""Plasticity: how weights change within a lifetime.

The codes are positions in `tweann.genes.PLASTICITY_RULES`. Five coefficients an edge, in the rule's own meaning:

======== =====================================
rule     coefficients
======== =====================================
hebbian  η, decay
oja      η
abcd     η, A, B, C, D
trace    η, γ
stdp     η, A₊, A₋, 1/τ₊, 1/τ₋
======== =====================================

Sources: Oja (1982), J. Math. Biology 15:267; Soltoggio et al. (2008), ALIFE XI, for A, B, C, D and modulatory
nodes; Izhikevich (2007), Cerebral Cortex 17:2443, for eligibility and reward; Song, Miller & Abbott (2000), Nature
Neuroscience 3:919, for spikes.
"""

from __future__ import annotations

import math
from typing import Final

from tweann.genes import PLASTICITY_RULES
from tweann.kernels._jit import fused_kernel

NONE, HEBBIAN, OJA, ABCD, TRACE, STDP = range(len(PLASTICITY_RULES))

#: Coefficients of an edge.
N_COEFFICIENTS: Final = 5
#: An end that is no spiking node spikes when its value rises through this.
THRESHOLD: Final = 0.5
#: The time of a spike that has not come yet; ticks count from 0.
NEVER: Final = -1.0


@fused_kernel
def spikes(before: float, now: float, spiking: bool) -> bool:
    """Return whether an end whose value goes from ``before`` to ``now`` spikes."""
    return now > THRESHOLD and (spiking or before <= THRESHOLD)


@fused_kernel
def spike_timing(
    now: float,
    pre: float,
    post: float,
    a_plus: float,
    a_minus: float,
    rate_plus: float,
    rate_minus: float,
) -> float:
    """Return what spike-timing-dependent plasticity makes of the last spikes of both ends.

    Args:
        now: the tick that has just ended.
        pre, post: ticks of the last spikes, `NEVER` for none.
        a_plus, a_minus, rate_plus, rate_minus: coefficients.

    Returns:
        0 unless one of them was in this tick and the other has ever been.
    """
    if (pre != now and post != now) or pre == NEVER or post == NEVER:
        return 0.0
    delta = post - pre
    if delta >= 0.0:
        return a_plus * math.exp(-delta * rate_plus)
    return -a_minus * math.exp(delta * rate_minus)
