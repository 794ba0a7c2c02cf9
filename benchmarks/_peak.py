"""The measured ceiling of arithmetic: independent chains of vector multiply-adds that never leave the registers."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic

from bci.dsp._simd import Lanes
from bci.jit import kernel

CHAINS = 24  # enough to hide four cycles of latency on two ports three times over


@intrinsic
def _chains(typingctx: Any, data: Any, n: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = Lanes(builder, signature.args[0].dtype)
        at = lanes.pointer(context, signature.args[0], args[0])
        zero = args[1].type(0)
        start = lanes.load(at, zero)
        half = lanes.mul(start, start)
        sums = [lanes.variable(lanes.mul(start, start)) for _ in range(CHAINS)]
        with lanes.loop(args[1]) as step:
            # the factor changes with the data, so that no chain can be computed ahead or folded into another
            for k in range(CHAINS):
                builder.store(lanes.fma(builder.load(sums[k]), half, start), sums[k])
            del step
        total = builder.load(sums[0])
        for v in sums[1:]:
            total = lanes.sub(total, builder.load(v))
        lanes.store(total, at, zero)
        return context.get_dummy_value()

    return types.void(data, n), generate


@kernel
def fma_chains(data, n):  # type: ignore[no-untyped-def]
    """n steps of CHAINS multiply-adds on every lane of data (one vector)."""
    _chains(data, n)
