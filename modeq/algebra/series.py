"""B-series: one-step methods and modified fields with the vector field left abstract.

Normalization, here and everywhere in modeq (Hairer, Lubich, Wanner, *Geometric Numerical
Integration*, III.1.2, Definition 1.8):

    B(a, hf, y) = a(∅) y + Σ_τ h^|τ|/σ(τ) a(τ) F(τ)(y),
    F(•) = f,    F([τ₁, …, τₖ]) = f⁽ᵏ⁾(F(τ₁), …, F(τₖ)).

A map has a(∅) = 1, a field has b(∅) = 0. The coefficients of a modified field f̃ are those of
h f̃, so b(•) = 1 for a consistent method. A series of ``order`` n keeps the counter terms of f̃ up
to hⁿ, and so all trees with up to n + 1 vertices.

Putting a series into f acts on coefficients as B₊: a ↦ (τ = [τ₁, …, τₖ] ↦ Π a(τᵢ)).

With several fields, y' = f₀(y) + f₁(y) + …, each vertex of a tree has the color of its field, and
f_c acts as B₊ followed by the choice of the trees whose root has the color c.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import chain
from typing import Any

import gmpy2
import numpy as np

from modeq.algebra import structure
from modeq.algebra.catalog import Catalog, SymmetryAndDensity, catalog
from modeq.algebra.counts import check_memory, tree_counts
from modeq.algebra.prunings import forest_products
from modeq.algebra.rationals import exact, plain, plain_array
from modeq.algebra.residuals import NEARLY, Residuals, nearly, size_of
from modeq.algebra.series_text import (
    series_beginning,
    series_formula,
    series_formula_beginning,
    series_rows,
)
from modeq.algebra.structure import Verdict
from modeq.algebra.trees import RootedTree, rooted_trees
from modeq.checks import check_colors, check_order, shortened
from modeq.errors import InvalidLoss, InvalidMethod, InvalidTree, InvalidValue

BYTES_PER_COEFFICIENT = 100
"""About what one exact coefficient of a series takes, with its place in two or three arrays."""


class BSeries(Mapping[RootedTree, Any]):
    """Coefficients a(∅) and a(τ) of B(a, hf, y), for all trees with up to order + 1 vertices.

    An immutable mapping from trees to coefficients, without the factor 1/σ(τ), in the order of
    `rooted_trees`. Trees that are not given have coefficient zero. Coefficients may be from any
    ring; rational numbers come out as Fractions. See the docstring of the module for the
    normalization.

    >>> leaf = RootedTree()
    >>> euler_step = BSeries({leaf: 1}, order=2, empty=1)
    >>> euler_step[RootedTree([leaf])]
    Fraction(0, 1)
    >>> print(euler_step - euler_step.b_plus())
    1    y
    h    0
    h^2  -f'f
    h^3  -1/2 f''(f,f)

    Attributes:
        order: The highest power of h in the field f̃; one less than the largest tree has vertices.
        empty: The coefficient of the empty tree: 1 for a map, 0 for a field.
        colors: The number of fields.
        catalog: The numbering of the trees.
        array: The coefficients in the order of the catalog, as a read-only array: ``gmpy2.mpq``
            where all are rational numbers, else Fractions and elements of some other ring.
        is_rational: Whether the array is of the first kind.

    Raises:
        InvalidOrder: If ``order`` is not an integer of at least zero.
        InvalidTree: If a key is not a tree with at most order + 1 vertices, in these colors.
        InvalidValue: If ``coefficients`` is not a mapping, a coefficient is not finite or no
            number, or ``colors`` is not an integer of at least one.
    """

    __slots__ = ("array", "catalog", "empty", "is_rational", "order")

    # Without this a NumPy number on the left would take the mapping for an array.
    __array_ufunc__ = None

    def __init__(
        self,
        coefficients: Mapping[RootedTree, Any],
        *,
        order: int,
        empty: Any = 0,
        colors: int = 1,
    ):
        if not isinstance(coefficients, Mapping):
            raise InvalidValue(
                f"coefficients must map trees to numbers, got {shortened(coefficients)}"
            )
        trees = _trees(order, colors)
        entries = [gmpy2.mpq()] * len(trees)
        for tree, coefficient in coefficients.items():
            try:
                entries[trees.index(tree)] = coefficient
            except KeyError:
                raise InvalidTree(_not_in(tree, trees)) from None
        self._set(trees, np.fromiter(entries, object), empty)

    def _set(
        self, trees: Catalog, array: np.ndarray, empty: Any, is_rational: bool = False
    ) -> None:
        empty = exact(empty)
        # Sums and products of rational series are known to be rational, and need no look.
        if not is_rational:
            array = np.fromiter(map(exact, array.tolist()), object)
            is_rational = {*map(type, array.tolist()), type(empty)} == {gmpy2.mpq}
        if not is_rational:
            array, empty = plain_array(array), plain(empty)
        self._keep(trees, array, empty, is_rational)

    def _keep(self, trees: Catalog, array: np.ndarray, empty: Any, is_rational: bool) -> None:
        array.flags.writeable = False
        for name, value in (
            ("catalog", trees),
            ("order", trees.vertices - 1),
            ("array", array),
            ("empty", empty),
            ("is_rational", is_rational),
        ):
            object.__setattr__(self, name, value)

    @classmethod
    def of_array(
        cls, trees: Catalog, array: np.ndarray, empty: Any = 0, is_rational: bool = False
    ) -> BSeries:
        """Return the series with these exact coefficients, in the order of the catalog.

        ``is_rational`` says that all of them are known to be mpq.
        """
        series = object.__new__(cls)
        series._set(trees, array, empty, is_rational)
        return series

    def __setattr__(self, name: str, value: Any = None) -> None:
        raise AttributeError(f"a BSeries is immutable, so {name} cannot be changed")

    __delattr__ = __setattr__

    def __reduce__(self) -> tuple:
        trees = self.catalog.vertices, self.catalog.colors
        return _restored, (*trees, self.array.tolist(), self.empty)

    @property
    def colors(self) -> int:
        """The number of fields f₀, f₁, …; one without colors."""
        return self.catalog.colors

    def cut(self, order: int) -> BSeries:
        """Return the series without the trees with more than ``order`` + 1 vertices.

        >>> len(exact_flow(3).cut(1))
        2
        """
        order = min(check_order(order), self.order)
        trees = catalog(order + 1, self.colors)
        return BSeries.of_array(
            trees, self.array[: len(trees)].copy(), self.empty, self.is_rational
        )

    @property
    def zero(self) -> Any:
        """The number zero as it stands in the array."""
        return gmpy2.mpq() if self.is_rational else Fraction(0)

    def of_order(self, vertices: int) -> np.ndarray:
        """Return the coefficients of the trees with so many vertices."""
        return self.array[self.catalog.starts[vertices] : self.catalog.starts[vertices + 1]]

    def __getitem__(self, tree: RootedTree) -> Any:
        return plain(self.array[self.catalog.index(tree)])

    def __iter__(self) -> Iterator[RootedTree]:
        for order in range(1, self.order + 2):
            yield from rooted_trees(order, self.colors)

    def __len__(self) -> int:
        return len(self.array)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BSeries):
            return NotImplemented
        alike = self.catalog == other.catalog and self.empty == other.empty
        return alike and self.array.tolist() == other.array.tolist()

    def __hash__(self) -> int:
        return hash((self.order, self.empty, tuple(self.array[:20].tolist())))

    def __add__(self, other: Any) -> BSeries:
        if isinstance(other, BSeries):
            left, right = aligned(self, other)
            return left._alike(left.array + right.array, left.empty + right.empty)
        # The built-in sum starts from the number zero.
        return self if isinstance(other, int) and other == 0 else NotImplemented

    __radd__ = __add__

    def __neg__(self) -> BSeries:
        return self._alike(-self.array, -self.empty)

    def __sub__(self, other: BSeries) -> BSeries:
        return self + -other

    def __mul__(self, scalar: Any) -> BSeries:
        if isinstance(scalar, BSeries):
            return NotImplemented
        series, factor = self._beside(exact(scalar))
        return series._alike(series.array * factor, series.empty * factor)

    __rmul__ = __mul__

    def __truediv__(self, scalar: Any) -> BSeries:
        if isinstance(scalar, BSeries):
            return NotImplemented
        series, divisor = self._beside(exact(scalar))
        return series._alike(series.array / divisor, series.empty / divisor)

    def _beside(self, scalar: Any) -> tuple[BSeries, Any]:
        """Return the series and a scalar with coefficients that are all mpq, or none of them."""
        if self.is_rational and type(scalar) is gmpy2.mpq:
            return self, scalar
        return self.general(), plain(scalar)

    def general(self) -> BSeries:
        """Return the series with Fractions in place of mpq, which few other rings know."""
        if not self.is_rational:
            return self
        series = object.__new__(BSeries)
        series._keep(self.catalog, plain_array(self.array), plain(self.empty), is_rational=False)
        return series

    def _alike(self, array: np.ndarray, empty: Any) -> BSeries:
        """Return a series that is rational if this one is."""
        return BSeries.of_array(self.catalog, array, empty, self.is_rational)

    def b_plus(self, color: int | None = None) -> BSeries:
        """Return h f(B(a, hf, y)): the coefficients τ = [τ₁, …, τₖ] ↦ a(τ₁) ⋯ a(τₖ).

        Hairer, Lubich, Wanner, III.1, Lemma 1.9. This is the f that an update rule gets.

        >>> identity = BSeries({}, order=2, empty=1)
        >>> identity.b_plus() == BSeries({RootedTree(): 1}, order=2)
        True

        Args:
            color: Take only this one of the fields. Without it, their sum.

        Raises:
            InvalidMethod: If a(∅) is not 1, for then f would not be evaluated near y.
        """
        if self.empty != 1:
            raise InvalidMethod(
                f"f takes theta plus multiples of h f(...), got {self.empty} theta + ..."
            )
        products = forest_products(self.catalog, self.array)
        if color is not None:
            products[self.catalog.color != color] = gmpy2.mpq()
        return self._alike(products, 0)

    def without_small(self, atol: float) -> BSeries:
        """Return the series with zeros in place of coefficients up to ``atol``.

        >>> tiny = BSeries({RootedTree(): 1e-17}, order=0)
        >>> print(tiny.without_small(1e-12))
        h    0

        Raises:
            InvalidValue: If ``atol`` is no finite number of at least zero.
        """
        residuals = Residuals(atol)
        array = self.array.copy()
        array[[i for i, value in enumerate(array) if residuals.vanish(value)]] = self.zero
        return self._alike(array, self.empty)

    def nearly_zero(self) -> str:
        """Return the coefficients that may be zero but for rounding, in words; mostly none.

        >>> exact_flow(3).nearly_zero()
        ''
        """
        sizes = [size_of(value) or 1 for value in self.array]
        small = [i for i, size in enumerate(sizes) if size < NEARLY]
        small = [i for i in small if nearly(self.array[i], self.catalog.tree(i))]
        if not small:
            return ""
        more = f" and {len(small) - 1} more" if len(small) > 1 else ""
        largest = max(sizes[i] for i in small)
        return f"b({self.catalog.tree(small[0])}){more}: up to {largest:.2g}"

    def field(self, loss_or_field: Any) -> Any:
        """Return f̃ = Σ_τ h^(|τ|-1)/σ(τ) b(τ) F(τ) for a given loss or vector field.

        The argument does the work in its ``elementary_sum(series)``, because this layer does not
        know what an expression is. From a Loss or VectorField comes a sympy column vector.

        >>> class Growth:  # y' = y at y = 1, where F is 1 for tall trees and 0 for all others
        ...     def elementary_sum(self, series):
        ...         return sum(series[tree] for tree in series if tree.is_tall)
        >>> from modeq.algebra.rule_series import modified_equation
        >>> modified_equation(lambda y, f, h: y + h * f(y), order=2).field(Growth())
        Fraction(5, 6)

        Raises:
            InvalidValue: If the series is that of a map.
            InvalidLoss: If the argument is neither a Loss nor a VectorField.
        """
        self._field_array()
        if not hasattr(loss_or_field, "elementary_sum"):
            raise InvalidLoss(f"expected a Loss or a VectorField, got {shortened(loss_or_field)}")
        return loss_or_field.elementary_sum(self)

    def is_gradient(self, *, atol: float = 0) -> Verdict:
        """Tell whether the field is a gradient for every f that is one: b(u∘v) = b(v∘u).

        Residuals up to ``atol`` count as zero, in a table of rounded decimals; likewise in the
        other verdicts.

        >>> from modeq.algebra.rule_series import modified_equation
        >>> print(modified_equation(lambda y, f, h: y + h * f(y), order=3).is_gradient())
        fails at h^2: b([•,•]) = 1/6 and b([[•]]) = 1/3

        Raises:
            InvalidValue: If the series is that of a map, likewise for energy, or ``atol`` is
                negative.
        """
        return structure.is_gradient(self.catalog, self._field_array(), atol)

    def is_hamiltonian(self, *, partitioned: bool = False, atol: float = 0) -> Verdict:
        """Tell whether the field is Hamiltonian for every f that is: b(u∘v) + b(v∘u) = 0.

        For a map, tell whether it is symplectic: a(u∘v) + a(v∘u) = a(u) a(v).

        Args:
            partitioned: The two fields are the parts -∂H/∂q and ∂H/∂p of a Hamiltonian one.
                Without it, each of the fields is Hamiltonian.
            atol: Residuals up to it count as zero, in a table of rounded decimals.

        >>> bool(exact_flow(4).is_hamiltonian())
        True

        Raises:
            InvalidValue: If the series is that of neither a field nor a map, or ``partitioned`` is
                asked for without there being two fields.
        """
        if partitioned and self.colors != 2:
            raise InvalidValue(f"partitioned means two fields; the series has {self.colors}")
        if self.empty == 1:
            return structure.is_symplectic(self.catalog, self.array, partitioned, atol)
        return structure.is_hamiltonian(self.catalog, self._field_array(), partitioned, atol)

    def is_energy_preserving(self, *, atol: float = 0) -> Verdict:
        """Tell whether the field leaves H as it is, for every f = J∇H with constant J.

        >>> from modeq.algebra.rule_series import modified_equation
        >>> print(modified_equation(lambda y, f, h: y + h * f(y), order=3).is_energy_preserving())
        fails at h^1: b/sigma([•]) = -1/2 is not 0

        Raises:
            InvalidValue: If the series is that of a map, or has several fields.
        """
        if self.colors > 1:
            raise InvalidValue(f"energy is that of one field f = J∇H; the series has {self.colors}")
        return structure.is_energy_preserving(self.catalog, self._field_array(), atol)

    def is_symmetric(self, *, atol: float = 0) -> Verdict:
        """Tell whether the method is its own adjoint, from the series of its field or map.

        >>> print(exact_flow(3).is_symmetric())
        holds through h^3

        Raises:
            InvalidValue: If the series is that of neither a field nor a map.
        """
        array = self.array if self.empty == 1 else self._field_array()
        return structure.is_symmetric(self.catalog, array, self.empty, atol)

    def structure(self) -> dict[str, Verdict]:
        """Return what a modified field is, by name: each property that a series can be tested for.

        >>> from modeq.methods.universal import modified_equation
        >>> for name, verdict in modified_equation("implicit-midpoint", 2).structure().items():
        ...     print(name, bool(verdict))
        gradient False
        Hamiltonian True
        symmetric True
        energy-preserving False
        """
        found = {
            "gradient": self.is_gradient(),
            "Hamiltonian": self.is_hamiltonian(),
            "symmetric": self.is_symmetric(),
        }
        if self.colors == 1:
            found["energy-preserving"] = self.is_energy_preserving()
        return found

    def _field_array(self) -> np.ndarray:
        if self.empty != 0:
            raise InvalidValue(f"a field has coefficient 0 at the empty tree, not {self.empty}")
        return self.array

    def text(self, notation: str = "differentials") -> str:
        """Return a table with a line for each power of h, in a notation of `algebra.notation`.

        >>> print(exact_flow(2).text("gradient"))
        1    y
        h    -g
        h^2  1/2 H g
        h^3  -1/6 H^2 g - 1/6 T[g, g]
        """
        return "\n".join(series_rows(self, notation, self.order + 1))

    def latex(self, notation: str = "differentials") -> str:
        r"""Return the whole series as one formula, in a notation of `modeq.algebra.notation`.

        >>> print(exact_flow(1).latex())
        y + h f + \tfrac{1}{2} h^{2} f'f
        """
        return series_formula(self, notation, self.order + 1)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return series_beginning(self)

    def _repr_latex_(self) -> str:
        return series_formula_beginning(self)


def exact_flow(order: int, colors: int = 1) -> BSeries:
    """Return the series of the exact flow over one step, e(∅) = 1, e(τ) = 1/γ(τ).

    See Hairer, Lubich, Wanner, III.1.2.

    >>> print(exact_flow(2))
    1    y
    h    f
    h^2  1/2 f'f
    h^3  1/6 f'f'f + 1/6 f''(f,f)
    """
    trees = _trees(order, colors)
    density_of = SymmetryAndDensity(trees).density
    densities = chain.from_iterable(density_of(n).tolist() for n in range(1, trees.vertices + 1))
    values = np.fromiter((gmpy2.mpq(1, density) for density in densities), object)
    return BSeries.of_array(trees, values, 1)


def identity(order: int, colors: int = 1) -> BSeries:
    """Return the series of the map that does nothing.

    >>> print(identity(1))
    1    y
    h    0
    h^2  0
    """
    return BSeries({}, order=order, empty=1, colors=colors)


def _trees(order: Any, colors: Any) -> Catalog:
    """Return the catalog of a series, once it is known to fit in memory."""
    vertices, colors = check_order(order) + 1, check_colors(colors)
    check_memory(vertices, colors, BYTES_PER_COEFFICIENT * sum(tree_counts(vertices, colors)))
    return catalog(vertices, colors)


def check_series(series: Any, name: str = "a series") -> None:
    """Raise InvalidValue unless it is a B-series."""
    if not isinstance(series, BSeries):
        raise InvalidValue(
            f"{name} is {shortened(series)}; it must be a BSeries, such as exact_flow(3)"
        )


def aligned(*series: BSeries) -> list[BSeries]:
    """Return the series, all cut at the lowest of their orders.

    Raises:
        InvalidValue: If they have different numbers of fields.
    """
    for one in series:
        check_series(one)
    if len({one.colors for one in series}) > 1:
        counts = " and ".join(str(one.colors) for one in series)
        raise InvalidValue(f"the series have {counts} fields; they must have equally many")
    order = min(one.order for one in series)
    cut = [one if one.order == order else one.cut(order) for one in series]
    return cut if all(one.is_rational for one in cut) else [one.general() for one in cut]


def _restored(vertices: int, colors: int, entries: list, empty: Any) -> BSeries:
    return BSeries.of_array(catalog(vertices, colors), np.fromiter(entries, object), empty)


def _not_in(tree: Any, trees: Catalog) -> str:
    colors = "" if trees.colors == 1 else f" in the colors 0 to {trees.colors - 1}"
    return f"{tree!r} is not a rooted tree of at most {trees.vertices} vertices{colors}"
