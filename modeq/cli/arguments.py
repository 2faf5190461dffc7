"""What the commands are given: numbers, points, NAME=VALUE pairs and losses, read from words."""

from __future__ import annotations

import difflib
import functools
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import click

from modeq.checks import shortened
from modeq.errors import InvalidPoint, InvalidStep, InvalidValue, MissingParameter
from modeq.files import require_writable
from modeq.losses import problems
from modeq.losses.expressions import read_expression
from modeq.losses.grammar import LIMITS
from modeq.losses.loss import Loss
from modeq.methods.multistep import SEQUENCES
from modeq.methods.named import NAMED, WITH_PARAMETERS, Method, named_method, parameter_names

_MAX_POWER_OF_TEN = 300
_MAX_DIGITS = 100
_DEFAULT = click.core.ParameterSource.DEFAULT
_WORD = re.compile(r"[a-z][a-z0-9-]{1,49}")


class Read(click.ParamType):
    """The type of an option whose text is read by a function.

    Args:
        read: A function of the text and of the name of the option, which errors mention.
        rest: Further arguments for it, by name.
    """

    name = "text"

    def __init__(self, read: Callable, **rest: Any):
        self._read = functools.partial(read, **rest)

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return what the text stands for."""
        return self._read(value, param.opts[0])


def read_number(text: str, name: str) -> Fraction:
    """Return a decimal or a fraction exactly.

    >>> read_number("1e-3", "--lr"), read_number("-2/3", "--at")
    (Fraction(1, 1000), Fraction(-2, 3))

    Raises:
        InvalidValue: The text is something else, infinite, or of an absurd size.
    """
    try:
        power = Decimal(text.partition("/")[0]).adjusted()
        if len(text) <= _MAX_DIGITS and abs(power) <= _MAX_POWER_OF_TEN:
            return Fraction(text)
    except (ValueError, ArithmeticError):
        pass
    raise InvalidValue(
        f"{name} is {shortened(text)}; it must be a finite number, such as 0.1, 1e-3 or -2/3"
    )


def read_integer(text: str, name: str, least: int) -> int:
    """Return an integer that is not too small.

    >>> read_integer("3", "--order", least=0)
    3
    """
    try:
        if (value := int(text)) >= least:
            return value
    except ValueError:
        pass
    raise InvalidValue(f"{name} is {shortened(text)}; it must be an integer >= {least}")


def read_rate(text: str, name: str) -> Fraction:
    """Return a learning rate, a positive number."""
    rate = read_number(text, name)
    if rate <= 0:
        raise InvalidStep(
            f"{name} is {shortened(text)}; it must be positive, such as 1e-3 or 1/1000"
        )
    return rate


def read_point(text: str, name: str) -> list[Fraction]:
    """Return the numbers between commas.

    >>> read_point("-1, 1/2", "--at")
    [Fraction(-1, 1), Fraction(1, 2)]
    """
    return [read_number(part.strip(), f"a number in {name}") for part in text.split(",")]


def read_output(text: str, name: str) -> str:
    """Return the name of a file, if there is a file that can be written.

    Raises:
        CannotWrite: There is not.
    """
    require_writable(text)
    return text


def read_setting(text: str, name: str) -> tuple[str, str]:
    """Return name and value of a setting.

    >>> read_setting("lam = 1/10", "--set")
    ('lam', '1/10')
    """
    key, _, value = (part.strip() for part in text.partition("="))
    if not (key and value):
        raise InvalidValue(f"{name} is {shortened(text)}; it must be NAME=VALUE, such as lam=1/10")
    return key, value


def _as_mapping(
    context: click.Context, option: click.Parameter, pairs: Sequence[tuple[str, str]]
) -> dict[str, str]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise InvalidValue(f"{option.opts[0]} gives {shortened(name)} twice; give it one value")
    return dict(pairs)


def _order_option(**options: Any) -> Callable:
    return click.option(
        "--order", type=Read(read_integer, least=0), metavar="N", **options,
        help="Highest power of h in the counter terms; 0 is the flow without them.",
    )  # fmt: skip


order_option = _order_option(required=True)
force_option = click.option(
    "--force", "limit", is_flag=True, default=None, flag_value=sys.maxsize, type=int,
    help="Go on where the work, estimated before it is begun, exceeds the limit.",
)  # fmt: skip
method_option = click.option(
    "--method", default="gradient-descent", show_default=True, metavar="NAME",
    help=f"One of {', '.join([*NAMED, *WITH_PARAMETERS])}.",
)  # fmt: skip


set_option = click.option(
    "--set", "settings", multiple=True, type=Read(read_setting), callback=_as_mapping,
    metavar="NAME=VALUE",
    help="Give a parameter of the method, or else of the loss, an exact value. May be repeated.",
)  # fmt: skip


def read_method(name: str, settings: Mapping[str, str]) -> tuple[Method, dict[str, str]]:
    """Return the method of a name with its settings, and the settings that are not its own.

    >>> method, rest = read_method("heavy-ball", {"beta": "9/10", "lam": "2"})
    >>> print(method, rest)
    heavy ball with beta = 9/10 {'lam': '2'}

    Raises:
        InvalidMethod: The name is unknown, or a parameter is missing or out of its range.
    """
    own = {key for key in parameter_names(name) if key in settings}
    values = {key: _method_value(settings[key]) for key in own}
    rest = {key: value for key, value in settings.items() if key not in own}
    return named_method(name, values), rest


def _method_value(text: str) -> Any:
    """Return the value of a parameter of a method: true, false, a word, or an exact expression."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    return text if text in SEQUENCES else read_expression(text, ())


def loss_arguments(command: Callable, order: str | None = None) -> Callable:
    """Give a command the loss that the words say, the order and the method.

    Args:
        command: The command.
        order: The order where the words give none; without it, they must.
    """
    given = {"default": order, "show_default": True} if order else {"required": True}

    @click.argument("loss")
    @_order_option(**given)
    @method_option
    @set_option
    @click.option(
        "--variables", metavar="NAMES",
        help='Variables, such as "x y"; other names are parameters. Without it, all names that '
        "--set gives no value.",
    )  # fmt: skip
    @functools.wraps(command)
    def with_loss(loss, settings, variables, method, **options):
        method, settings = read_method(method, settings)
        return command(loss=read_loss(loss, variables, settings), method=method, **options)

    return with_loss


def read_loss(text: str, variables: str | None, settings: Mapping[str, str]) -> Loss:
    """Return the loss of a formula or of the name of a problem, with the settings put in.

    >>> read_loss("lam*x**2 + y", None, {"lam": "1/10"})
    Loss('x**2/10 + y', 'x y')
    """
    text = _standard_input() if text == "-" else text
    loss = _problem(text) or Loss(text, variables)
    if settings and variables is None:
        variables = [x for x in loss.variables if x.name not in settings]
    if variables is None:
        return loss
    return Loss(loss.expression, variables).subs(settings)


def words_of(context: click.Context, loss: Loss) -> str:
    """Return the command line that a command has been given, as a shell reads it.

    Args:
        context: That of the command.
        loss: The loss, whose formula stands in for one on standard input.
    """
    words, formulas = [], []
    for parameter in context.command.params:
        value = context.params.get(parameter.name)
        if value is None or context.get_parameter_source(parameter.name) is _DEFAULT:
            continue
        if getattr(parameter, "is_flag", False):
            words.append(parameter.opts[0])
        elif isinstance(parameter, click.Argument):
            formulas.append(str(loss.expression) if value == "-" else value)
        else:
            for word in _words_of_option(value):
                words += [parameter.opts[0], word]
    dashes = ["--"] if any(text.startswith("-") for text in formulas) else []
    return shlex.join([*context.command_path.split(), *words, *dashes, *formulas])


def _words_of_option(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [f"{name}={setting}" for name, setting in value.items()]
    return [",".join(map(str, value)) if isinstance(value, list) else str(value)]


def _standard_input() -> str:
    try:
        return sys.stdin.read(LIMITS.characters + 2).strip()
    except (AttributeError, UnicodeDecodeError, OSError):
        raise InvalidValue("the formula on standard input cannot be read as text") from None


def _problem(text: str) -> problems.Problem | None:
    """Return the problem of that name; names that nearly are one are refused with a hint."""
    key = text.strip().lower().replace("_", "-")
    if _WORD.fullmatch(key) and difflib.get_close_matches(key, problems.ALL, cutoff=0.8):
        return problems.named(key)
    return None


def require_values(loss: Loss) -> None:
    """Refuse a loss with a parameter that has no value."""
    if loss.parameters:
        name = loss.parameters[0]
        raise MissingParameter(
            f"the parameter {name} has no value; give --set {name}=VALUE, or name it in --variables"
        )


def given_start_and_rate(
    loss: Loss, at: Sequence | None, lr: Fraction | None
) -> tuple[list[Fraction] | None, Fraction | None]:
    """Return the start and the learning rate, each None where neither words nor problem give it.

    >>> given_start_and_rate(Loss("x**2"), None, Fraction(1, 3))
    (None, Fraction(1, 3))
    """
    lr = getattr(loss, "h", None) if lr is None else lr
    rate = None if lr is None else Fraction(str(lr))
    if at is None and not hasattr(loss, "start"):
        return None, rate
    return start_and_rate(loss, at, Fraction(1) if rate is None else rate)[0], rate


def start_and_rate(
    loss: Loss, at: Sequence | None, lr: Fraction | None
) -> tuple[list[Fraction], Fraction]:
    """Return the start and the learning rate, those of a problem where none are given.

    >>> start_and_rate(problems.double_well(), None, Fraction(1, 3))
    ([Fraction(2, 5)], Fraction(1, 3))
    """
    names = ", ".join(x.name for x in loss.variables)
    at = getattr(loss, "start", None) if at is None else at
    lr = getattr(loss, "h", None) if lr is None else lr
    if at is None:
        raise InvalidPoint(f"--at is missing: give one number for each of {names}, such as -1,1/2")
    if len(at) != loss.dimension:
        count = f"{len(at)} number{'s' * (len(at) != 1)}"
        raise InvalidPoint(f"--at has {count}; it must have one for each of {names}")
    if lr is None:
        raise InvalidStep("--lr is missing: give the learning rate, such as 1e-3")
    return [Fraction(str(x)) for x in at], Fraction(str(lr))
