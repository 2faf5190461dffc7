"""The names of modeq.networks and where they are; the package reads them here."""

import modeq.flows.blackbox as _blackbox

from . import data as data
from . import models as models
from .adjusted_rates import DriftAdjusted as DriftAdjusted
from .adjusted_rates import dal as dal
from .blackbox import ModuleField as ModuleField
from .blackbox import blackbox_field as blackbox_field
from .field import NetworkField as NetworkField
from .field import modified_field as modified_field
from .flows import FieldFlow as FieldFlow
from .flows import SeriesFlow as SeriesFlow
from .jets import counter_terms as counter_terms
from .optimizer_step import OptimizerStep as OptimizerStep
from .principal_flow import TopPrincipalFlow as TopPrincipalFlow
from .pytrees import double_precision as double_precision
from .records import TrainingRecord as TrainingRecord
from .sharding import device_mesh as device_mesh
from .sharding import replicate as replicate
from .sharding import shard_batch as shard_batch
from .sharding import sharded_field as sharded_field
from .sharding import sharded_gradient as sharded_gradient
from .spectrum import NetworkStability as NetworkStability
from .spectrum import hessian_eigenpairs as hessian_eigenpairs
from .spectrum import network_stability as network_stability
from .sweep import sweep as sweep
from .sweep_records import SweepRun as SweepRun
from .sweep_records import load_sweep as load_sweep
from .training import train as train
from .trajectories import NetworkTrajectory as NetworkTrajectory
from .trajectories import solve_flow as solve_flow
from .trajectories import step_drift as step_drift

BlackboxField = _blackbox.BlackboxField
RoundOff = _blackbox.RoundOff
