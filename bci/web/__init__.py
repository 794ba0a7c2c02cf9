"""The live page: signal, electrodes, decision, hand and one STOP in a browser on the same machine.

`LivePage` is the handle. The server is a process of its own and needs no network; whoever acquires or decides hands
over what is to be seen and never waits for it.
"""

from __future__ import annotations

from bci.web.page import LivePage

__all__ = ["LivePage"]
