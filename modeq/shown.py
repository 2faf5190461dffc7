"""Results that notebooks show with tables, formulas and pictures.

A class says here only that it is one of them. How each is shown is for the presentation layer to
say: ``displays`` gives ``Shown`` the method that notebooks look for.
"""


class Shown:
    """A result that notebooks show as more than its text.

    >>> class Answer(Shown):
    ...     def __str__(self): return "42"
    >>> "42" in Answer()._repr_html_()
    True
    """

    __slots__ = ()
