"""Every exception and warning of modeq, so that one import catches them all.

A message names the thing, its value, and what would be right.
"""


class ModeqError(Exception):
    """The base of all errors that modeq raises on purpose."""


class InvalidValue(ModeqError, ValueError):
    """An argument has a value that cannot be right."""


class ParseError(InvalidValue):
    """A text is not a formula that modeq reads.

    Attributes:
        reason: What is wrong, without the text.
        text: The text that was read.
        position: Zero-based index into ``text`` of the first character that is wrong.
    """

    def __init__(self, reason: str, text: str, position: int):
        self.reason = reason
        self.text = text
        self.position = position
        super().__init__(f"{reason} (column {position + 1})\n{_pointer(text, position)}")

    def __reduce__(self):
        return type(self), (self.reason, self.text, self.position)


def _pointer(text: str, position: int, width: int = 72) -> str:
    """Return the part of ``text`` around ``position`` with a caret under it."""
    start = max(0, position - width // 2)
    window = text[start : start + width]
    shown = "".join(c if c.isprintable() else " " for c in window)
    return f"    {shown}\n    {' ' * (position - start)}^"


def visible(line: str) -> str:
    r"""Return a line with escapes in place of characters that do not print.

    >>> print(visible("a\x1b[2J\nb"))
    a\x1b[2J\nb
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def can_be_written(name: str) -> bool:
    r"""Tell whether a name is a text that files and terminals hold, without halves of characters.

    >>> can_be_written("θ"), can_be_written("\ud800")
    (True, False)
    """
    return not any("\ud800" <= c <= "\udfff" for c in name)


class InvalidLoss(InvalidValue):
    """A loss or vector field is not one that has counter terms."""


class NotSmooth(InvalidLoss):
    """A loss contains a function without derivatives of every order."""


class InvalidTree(InvalidValue):
    """A level sequence or a list of children does not describe a rooted tree."""


class InvalidMethod(InvalidValue):
    """A method's table is inconsistent, or its name is unknown."""


class InvalidOrder(InvalidValue):
    """An order is not an integer at least zero."""


class ExceedsLimit(InvalidOrder):
    """The work of an order, estimated before it is begun, is more than is allowed.

    Attributes:
        reason: What the order means, without advice.
        count: How much there would be, in ``unit``.
        unit: What is counted: terms, trees or bytes.
        limit: How much of it is allowed.
    """

    def __init__(self, means: str, count: int, unit: str, limit: int):
        self.means = means
        self.count = count
        self.unit = unit
        self.limit = limit
        self.reason = f"{means} {count:,} {unit}; {limit:,} are allowed"
        super().__init__(f"{self.reason}: take a lower order, or give a larger limit")

    def __reduce__(self):
        return type(self), (self.means, self.count, self.unit, self.limit)


class InvalidStep(InvalidValue):
    """A learning rate or a number of steps is not positive and finite."""


class InvalidPoint(InvalidValue):
    """A point has the wrong shape, or the field is not a finite real number there."""


class MissingParameter(InvalidValue):
    """A number was asked for, but a symbolic parameter has no value yet."""


class InvalidData(InvalidValue):
    """A text or a file does not hold what it should: it is damaged, or something else."""


class InvalidCheckpoint(InvalidValue):
    """A stored run is damaged, or belongs to other settings; its file is left as it is."""


class Undecided(ModeqError):
    """Whether something vanishes was neither proved, nor refuted, nor checked."""


class NotAGradient(ModeqError):
    """A modified field has no potential.

    Attributes:
        order: The first power of h whose counter term is not a gradient.
        witness: The entry of the curl that does not vanish: a triple of two variables and the
            difference of the two partial derivatives.
    """

    def __init__(self, order: int, witness):
        self.order = order
        self.witness = witness
        first, second, curl = witness
        term = f"the counter term of h**{order}" if order else "the field itself"
        super().__init__(
            f"there is no modified loss at order {order}: {term} is not a gradient, because "
            f"d f[{first}]/d{second} - d f[{second}]/d{first} = {curl}, not 0"
            + (f"; ask for the modified loss of order {order - 1} or lower" if order else "")
        )

    def __reduce__(self):
        return type(self), (self.order, self.witness)


class NotHamiltonian(ModeqError):
    """A modified field is not that of a Hamiltonian.

    Attributes:
        order: The first power of h at which there is no Hamiltonian.
        witness: Two variables (a, b) and the difference ∂u_a/∂b - ∂u_b/∂a, which does not vanish,
            where u_p = q' and u_q = -p' would be the gradient of the Hamiltonian.
    """

    def __init__(self, order: int, witness):
        self.order = order
        self.witness = witness
        first, second, curl = witness
        super().__init__(
            f"there is no modified Hamiltonian at order {order}: with u = q' for each p and "
            f"u = -p' for each q, the coefficient of h**{order} has d u[{first}]/d{second} - "
            f"d u[{second}]/d{first} = {curl}, not 0"
            + (f"; ask for order {order - 1} or lower" if order else "")
        )

    def __reduce__(self):
        return type(self), (self.order, self.witness)


class FlowError(ModeqError):
    """A trajectory left the domain of its field, or grew beyond all bounds."""


class DidNotConverge(ModeqError):
    """An implicit stage was not found."""


class CannotWrite(ModeqError, OSError):
    """A file was not written; what was there before is still there.

    Attributes:
        path: The file.
        reason: Why not.
    """

    def __init__(self, path: str, reason: str):
        self.path = path
        self.reason = reason
        super().__init__(f"cannot write {path!r}: {reason}")

    def __reduce__(self):
        return type(self), (self.path, self.reason)


class ModeqWarning(UserWarning):
    """The base of all warnings that modeq gives."""


class NotProvedWarning(ModeqWarning):
    """What an answer rests on was checked at random points, and is not proved."""


class RoundOffWarning(ModeqWarning):
    """At the order that was asked for, rounding adds more than a lower order leaves out."""
