"""The public names of modeq.invariants and where they are."""

from .conservation import ConservedQuantity as ConservedQuantity
from .conservation import conserved as conserved
from .invariance import Invariance as Invariance
from .invariance import scale_invariance as scale_invariance
from .invariance import translation_invariance as translation_invariance
