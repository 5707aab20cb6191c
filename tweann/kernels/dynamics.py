"""Node dynamics: what a node makes of its input over time.

The codes are positions in `tweann.genes.DYNAMICS`. A node's state is ``x``, for a spiking node ``x`` (its potential)
and ``u`` (its recovery). All that does not depend on the input stands in four constants a node, computed in decoding:

=========== ======================================= =====================================================
kind        constants                               a tick
=========== ======================================= =====================================================
leaky       e^(−dt/τ)                               x ← s + (x − s)·e^(−dt/τ); output x
ctrnn       e^(−dt/τ)                               the same; output act(x)
cfc         dt/max(τ, 0.001), c·dt, \\|A\\|           gate = σ(−(s/τ + c)·dt); x ← gate·x + (1 − gate)·tanh s
ltc         dt, dt·A, 1 + dt/τ                      x ← (x + dt·f·A) / (1 + dt·(1/τ + f)), f = σ(s)
izhikevich  a, b, c, d                              see `izhikevich`
=========== ======================================= =====================================================

Sources: Beer (1995), Adaptive Behavior 3:469, eq. 1; Hasani et al. (2021), AAAI 35:7657, eqs. 1 and 3, and (2022) Nature
Machine Intelligence 4:992; Izhikevich (2003), IEEE Transactions on Neural Networks 14:1569, eqs. 1–3.
"""

from __future__ import annotations

import math
from typing import Final

from tweann.genes import DYNAMICS, Float
from tweann.kernels._jit import fused_kernel
from tweann.kernels.activation import clip, sigmoid, tanh

STATIC, DELAY, LEAKY, CTRNN, CFC, LTC, IZHIKEVICH = range(len(DYNAMICS))

#: Constants of a node.
N_CONSTANTS: Final = 4
#: A cfc node's time constant counts as no less.
CFC_LEAST_TAU: Final = 0.001
#: A cfc gate's argument is held within ±.
CFC_GATE_BOUND: Final = 10.0
#: The potential, in mV, above which a node spikes.
SPIKE: Final = 30.0


@fused_kernel
def write_constants(
    code: int, tau: float, bound: float, time_bias: float, dt: float, out: Float, at: int
) -> None:
    """Write the constants of a node that does not spike to ``out[at]``; the table of this module has them.

    A time constant below 0 counts as 0: the node follows its input at once.
    """
    tau = max(tau, 0.0)
    for i in range(N_CONSTANTS):
        out[at, i] = 0.0
    if code in (LEAKY, CTRNN):
        out[at, 0] = math.exp(-dt / tau)
    elif code == CFC:
        out[at, 0] = dt / max(tau, CFC_LEAST_TAU)
        out[at, 1] = time_bias * dt
        out[at, 2] = abs(bound)
    elif code == LTC:
        out[at, 0] = dt
        out[at, 1] = dt * bound
        out[at, 2] = 1.0 + dt / tau


@fused_kernel
def approach(s: float, x: float, decay: float) -> float:
    """Return the state of a leaky integrator a tick later: exact for an input held over the tick."""
    return s + (x - s) * decay


@fused_kernel
def cfc(s: float, x: float, rate: float, shift: float, bound: float) -> float:
    """Return the state of a closed-form continuous-time node a tick later, within ± ``bound``."""
    gate = sigmoid(clip(-(s * rate + shift), CFC_GATE_BOUND))
    return clip(gate * x + (1.0 - gate) * tanh(s), bound)


@fused_kernel
def ltc(s: float, x: float, dt: float, drive: float, leak: float) -> float:
    """Return the state of a liquid time-constant node a tick later, by the fused semi-implicit step.

    Of dx/dt = −(1/τ + f)·x + f·A; stable for any dt.
    """
    f = sigmoid(s)
    return (x + drive * f) / (leak + dt * f)


@fused_kernel
def izhikevich(
    s: float, v: float, u: float, a: float, b: float, c: float, d: float
) -> tuple[float, float, float]:
    """Return potential, recovery and output (1: a spike, 0) of a spiking node a tick, 1 ms, later.

    The potential takes two half steps, as in the paper's program; the input current is 10·s.
    """
    current = 140.0 + 10.0 * s
    v += 0.5 * (0.04 * v * v + 5.0 * v - u + current)
    v += 0.5 * (0.04 * v * v + 5.0 * v - u + current)
    u += a * (b * v - u)
    if v > SPIKE:
        return c, u + d, 1.0
    return v, u, 0.0
