"""The public names of modeq.series and where they are."""

from modeq.algebra.conditions import OrderCondition as OrderCondition
from modeq.algebra.conditions import order_conditions as order_conditions
from modeq.algebra.laws import compose as compose
from modeq.algebra.laws import inverse as inverse
from modeq.algebra.laws import power as power
from modeq.algebra.laws import scaled as scaled
from modeq.algebra.laws import substitute as substitute
from modeq.algebra.series import BSeries as BSeries
from modeq.algebra.series import exact_flow as exact_flow
from modeq.algebra.structure import Verdict as Verdict
from modeq.formats.tree_figures import series_table as series_table
from modeq.methods.universal import adjoint as adjoint
from modeq.methods.universal import method_series as method_series
from modeq.methods.universal import modified_equation as modified_equation
from modeq.methods.universal import modifying_integrator as modifying_integrator
from modeq.methods.universal import order_of_accuracy as order_of_accuracy
