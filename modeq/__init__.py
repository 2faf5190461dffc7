"""modeq derives the differential equation that an optimizer really follows.

Gradient descent is not gradient flow: expand its step in the learning rate h, and counter terms
appear that make the flow pass through the iterates. modeq derives these terms for a given loss, to
any order, exactly; prints them; turns them into numeric fields; and checks them against the
optimizer itself.

    >>> import modeq
    >>> equation = modeq.derive("x**2/2", order=2)
    >>> equation.field
    Matrix([[-h**2*x/3 - h*x/2 - x]])
    >>> equation.certify().holds
    True
"""

from modeq import errors, problems
from modeq.certify import Certificate
from modeq.equation import ModifiedEquation, derive, from_json, modified_equation
from modeq.flow import Comparison, Trajectory, compare, iterate
from modeq.loss import Loss, VectorField
from modeq.methods import CustomMethod, GradientDescent, RungeKutta
from modeq.numeric import NumericField
from modeq.series import BSeries, exact_flow
from modeq.slopes import OrderReport
from modeq.trees import RootedTree, rooted_trees

__version__ = "0.1.0"

__all__ = [
    # a loss
    "Loss",
    "VectorField",
    "problems",
    # derive
    "derive",
    "ModifiedEquation",
    "from_json",
    "Certificate",
    "OrderReport",
    "NumericField",
    # the optimizer and its flows
    "iterate",
    "compare",
    "Trajectory",
    "Comparison",
    # universal coefficients
    "RootedTree",
    "rooted_trees",
    "BSeries",
    "modified_equation",
    "exact_flow",
    # methods
    "GradientDescent",
    "RungeKutta",
    "CustomMethod",
    # errors
    "errors",
]
