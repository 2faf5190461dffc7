"""The modified field of steps of modules of Equinox and Flax, of which only the weights move."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modeq.errors import InvalidMethod
from modeq.flows.blackbox import BlackboxField
from modeq.networks.pytrees import partitioned


def blackbox_field(
    step: Callable[[Any], Any], order: int, *, h: float = 1.0, check: bool = True
) -> ModuleField:
    """Return the modified field of a step, as ``modeq.blackbox_field`` does, for modules as well.

    Of a module of Equinox or Flax, or a tree with some in it, the weights are the point. What else
    is in it (states, counters, keys, functions) stays as it is at the start, at each step.

    Args:
        step: θ after one step of the learning rate h, as a new object.
        order: The highest power of h that is right.
        h: The learning rate, which is the unit of time; without it, time counts steps.
        check: Whether steps that are not finite, and orders whose last term is mostly noise, are
            complained of.

    Raises:
        InvalidOrder, InvalidStep: The order or the learning rate is none.

    Returns:
        ``field(theta)``, of the shape and the kind of θ.

    >>> import numpy as np
    >>> field = blackbox_field(lambda theta: theta - 0.125 * theta, order=1, h=0.125)
    >>> field(np.array([1.0, 2.0]))  # -x - h x/2
    array([-1.0625, -2.125 ])
    """
    return ModuleField(step, order, h=h, check=check)


class ModuleField(BlackboxField):
    """A field of trees that may have modules in them; see ``blackbox_field``."""

    def __call__(self, theta: Any) -> Any:
        """Return the field at a point; it raises as ``modeq.BlackboxField`` does."""
        found = partitioned(theta)
        if found is None:
            return super().__call__(theta)
        weights, rest = found
        return rest.join(self._of_weights(rest)(weights))

    def round_off(self, theta: Any, max_order: int = 12) -> Any:
        """Return what the fields of several orders leave out, and what rounding adds."""
        found = partitioned(theta)
        if found is None:
            return super().round_off(theta, max_order)
        weights, rest = found
        return self._of_weights(rest).round_off(weights, max_order)

    def _of_weights(self, rest: Any) -> BlackboxField:
        def advanced(weights: list) -> list:
            following = partitioned(self.step(rest.join(weights)))
            if following is None or len(following[0]) != len(weights):
                raise InvalidMethod(
                    "step returned a tree without the weights of the modules that it was given; it "
                    "must return the same modules with other weights"
                )
            return following[0]

        return BlackboxField(advanced, self.order, h=self.h, check=self._check)
