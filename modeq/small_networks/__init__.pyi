"""The public names of modeq.small_networks and where they are."""

from .linear import LinearNetwork as LinearNetwork
from .linear import deep_network as deep_network
from .linear import end_to_end_flow as end_to_end_flow
from .relu import HomogeneousNetwork as HomogeneousNetwork
from .relu_flow import convergence_times as convergence_times
from .relu_flow import piecewise_flow as piecewise_flow
