"""Modified fields as the source of a NumPy function that needs nothing of modeq."""

from __future__ import annotations

import keyword
from collections.abc import Iterator, Mapping

from modeq.checks import shortened
from modeq.derivation.derive import ModifiedField
from modeq.errors import InvalidValue
from modeq.flows.forms import numeric_field
from modeq.losses.expressions import exact_values
from modeq.losses.loss import Loss

_RESERVED = ("numpy", "scipy", "theta", "h")

_BODY = """\
    theta = numpy.asarray(theta)
    if theta.ndim == 0 or theta.shape[-1] != {dimension}:
        raise ValueError(f"theta has the shape {{theta.shape}}; its last axis must be {dimension}")
    theta = theta * 1.0
    with numpy.errstate(all="ignore"):
        components = {program}(*numpy.moveaxis(theta, -1, 0), h)
{kept_real}    shape = numpy.broadcast_shapes(theta.shape[:-1], numpy.shape(h))
    return numpy.stack([numpy.broadcast_to(c, shape) for c in components], axis=-1)
"""

_KEPT_REAL = """\
    if not numpy.iscomplexobj(theta):
        components = [
            numpy.where(numpy.imag(c) == 0, numpy.real(c), numpy.nan) for c in components
        ]
"""


def to_python(
    modified: ModifiedField,
    name: str = "modified_field",
    *,
    parameters: Mapping | None = None,
    form: str | None = None,
) -> str:
    r"""Return Python source of a function (theta, h) -> array, which needs NumPy only.

    ``theta`` has the shape (..., d), and so has the result; ``h`` is a number, or an array that
    broadcasts against the leading axes. Functions such as erf need SciPy as well. The names of the
    symbols occur in the docstring only.

    Args:
        modified: The field.
        name: What to call the function.
        parameters: Values of the parameters, by symbol or name.
        form: "program" or "expanded", see ``numeric_field``; without it "program".

    Raises:
        InvalidValue: ``name`` is not a name that a function can have.
        MissingParameter: A parameter has no value.

    >>> from modeq.derivation.derive import derive_field
    >>> from modeq.methods.named import GradientDescent
    >>> namespace = {}
    >>> exec(to_python(derive_field(Loss("x**2/2"), 1, GradientDescent())), namespace)
    >>> namespace["modified_field"]([[1.0], [2.0]], 0.1)
    array([[-1.05],
           [-2.1 ]])
    """
    _refuse_bad_name(name)
    program = f"_{name}_components"
    body = numeric_field(modified, parameters, form).source("numpy")
    helper = body.replace("def program(", f"def {program}(", 1)
    imports = "import numpy\n" + "import scipy.special\n" * ("scipy.special" in body)
    docstring = "\n".join(_literal(line) for line in _description(modified, parameters or {}))
    kept_real = _KEPT_REAL if "lambertw" in body else ""
    function = _BODY.format(dimension=len(modified.variables), program=program, kept_real=kept_real)
    return (
        f'{imports}\n\ndef {name}(theta, h):\n    """{docstring}\n    """\n{function}\n\n{helper}\n'
    )


def _refuse_bad_name(name: str) -> None:
    usable = isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name)
    if not usable or name in _RESERVED:
        raise InvalidValue(
            f"name is {shortened(name)}; it must be a Python name, such as 'modified_field'"
        )


def _description(modified: ModifiedField, parameters: Mapping) -> Iterator[str]:
    """Yield the lines of the docstring."""
    loss = modified.loss
    formula = "loss L = " if isinstance(loss, Loss) else "field f = "
    yield f"Return the modified field of {modified.method} at theta, for the learning rate h."
    yield ""
    yield f"    {formula}{', '.join(map(str, loss.expressions))}"
    yield f"    counter terms up to h**{modified.order}"
    yield f"    theta[..., i] are the variables {', '.join(x.name for x in modified.variables)}"
    for symbol, value in exact_values(parameters, modified.parameters).items():
        yield f"    {symbol.name} = {value}"


def _literal(line: str) -> str:
    """Return a line as it stands in a string literal, which nothing in it can end."""
    return "".join(_character(c) for c in line)


def _character(character: str) -> str:
    if character in ('"', "\\"):
        return f"\\{character}"
    return character if character.isprintable() else character.encode("unicode_escape").decode()
