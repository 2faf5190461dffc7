"""The public names of modeq.flows and where they are."""

from .blackbox import BlackboxField as BlackboxField
from .blackbox import RoundOff as RoundOff
from .blackbox import blackbox_field as blackbox_field
from .check import OrderReport as OrderReport
from .compare import Comparison as Comparison
from .compare import compare as compare
from .discretization import DiscretizationError as DiscretizationError
from .discretization import discretization_error as discretization_error
from .fields import NumericField as NumericField
from .integrate import Trajectory as Trajectory
from .iterates import iterate as iterate
from .learning_rates import max_learning_rate as max_learning_rate
from .next_terms import Truncation as Truncation
from .next_terms import optimal_truncation as optimal_truncation
from .refinement import StepRefinement as StepRefinement
from .refinement import step_refinement as step_refinement
