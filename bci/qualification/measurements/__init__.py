"""All measurements of the bench, in the order in which a board goes through them.

First what needs nobody's hands, then what does: strap, resistors, shaker, generator, warm air, supply.
"""

from __future__ import annotations

from bci.qualification.measurements.clock import CLOCK
from bci.qualification.measurements.common_mode import COMMON_MODE
from bci.qualification.measurements.contact import CONTACT
from bci.qualification.measurements.crosstalk import CROSSTALK
from bci.qualification.measurements.drift import SUPPLY, WARMTH
from bci.qualification.measurements.endurance import ENDURANCE, endurance
from bci.qualification.measurements.gain import GAIN
from bci.qualification.measurements.leads import LEADS
from bci.qualification.measurements.linearity import LINEARITY
from bci.qualification.measurements.link import LINK
from bci.qualification.measurements.noise import FLICKER, INPUT_NOISE, NOISE
from bci.qualification.measurements.offset import OFFSET
from bci.qualification.measurements.response import RESPONSE, SWEEP
from bci.qualification.result import Measurement

__all__ = ["MEASUREMENTS", "endurance"]

MEASUREMENTS: tuple[Measurement, ...] = (
    LINK,
    OFFSET,
    NOISE,
    GAIN,
    RESPONSE,
    CROSSTALK,
    CLOCK,
    INPUT_NOISE,
    CONTACT,
    LEADS,
    LINEARITY,
    COMMON_MODE,
    SUPPLY,
    WARMTH,
    SWEEP,
    FLICKER,
    ENDURANCE,
)
