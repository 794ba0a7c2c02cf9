"""From electrode to hand: acquisition, cleaning, decoding and safe control of a prosthetic hand.

Importing this package costs nothing: every room loads what it needs when it is opened.
"""

from bci._version import __version__

__all__ = ["__version__"]
