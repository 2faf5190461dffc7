"""Modified fields along the training of networks, from gradient calls alone.

JAX does the work, and is optional: ``pip install modeq[jax]``. It is imported when one of the names
of this room is first asked for, not before.

    >>> import numpy as np
    >>> from modeq import networks
    >>> field = networks.modified_field(lambda w: (w["x"] ** 2).sum() / 2, order=1)
    >>> field({"x": np.float32([1.0, 2.0])}, 0.125)["x"].tolist()  # -x - h x/2
    [-1.0625, -2.125]
"""

import lazy_loader

from modeq.flows.blackbox import BlackboxField, RoundOff

__getattr__, _, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["BlackboxField", "RoundOff"]


def __dir__() -> list[str]:
    """Return all names, imported already or not."""
    return [*__all__]
