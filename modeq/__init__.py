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

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
