"""A run that tests start, kill and go on with; as a program it runs until it is killed."""

import sys
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import optax

from network_cases import DOUBLE, tanh_network

from modeq.errors import ModeqWarning
from modeq.networks import TopPrincipalFlow, train

STEPS, LAST = 20, 10
OPTIMIZER = optax.sgd(0.05, momentum=0.5)
LOSS, PARAMS, _ = tanh_network(hidden=2)


def run(checkpoint=None, steps=STEPS, **options):
    """Train with momentum, two flows and all that is recorded."""
    settings = {
        "steps": steps,
        "rate": 0.05,
        "optimizer": OPTIMIZER,
        "flows": (0, TopPrincipalFlow(2, frozen=True)),
        "directions": 2,
        "every": 3,
        "tolerance": 1e-6,
        "precision": DOUBLE,
        "checkpoint": checkpoint,
        "checkpoint_every": 1,
        **options,
    }
    with warnings.catch_warnings():
        # Flows of gradient descent beside momentum are what these runs store, right or not.
        warnings.simplefilter("ignore", ModeqWarning)
        return train(LOSS, PARAMS, **settings)


def wait_for_the_end(done, total):
    """Stop after some steps until somebody kills this process."""
    if done >= LAST:
        time.sleep(600)


if __name__ == "__main__":
    run(sys.argv[1], progress=wait_for_the_end)
