"""The public names of modeq.bounds and where they are."""

from .bounds import gradient_flow_bound as gradient_flow_bound
from .flow_bound import FlowBound as FlowBound
