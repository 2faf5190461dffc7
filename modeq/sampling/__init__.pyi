"""The public names of modeq.sampling and where they are."""

from .diffusion import DiffusionVerdict as DiffusionVerdict
from .diffusion import Generator as Generator
from .games import Game as Game
from .minibatches import Minibatches as Minibatches
from .noisy_labels import LabelNoise as LabelNoise
from .noisy_labels import label_noise as label_noise
from .shuffling import shuffled_field as shuffled_field
from .stochastic import StochasticEquation as StochasticEquation
from .stochastic import sgd_generator as sgd_generator
from .stochastic import stochastic_equation as stochastic_equation
from .tasks import TaskSteps as TaskSteps
from .tasks import joint_step as joint_step
from .tasks import sequential_steps as sequential_steps
