"""Symmetry and density of all trees at once, against each tree and their definitions."""

from math import factorial

import numpy as np
import pytest
import tree_oracle as oracle

from modeq.algebra.catalog import INT64_MAX, Catalog, SymmetryAndDensity, catalog


@pytest.mark.parametrize(("vertices", "colors"), [(9, 1), (6, 2), (4, 3)])
def test_symmetry_and_density_are_those_of_each_tree(vertices, colors):
    structure = SymmetryAndDensity(catalog(vertices, colors))
    trees = structure.catalog
    for n in range(1, vertices + 1):
        own = [trees.tree(i) for i in range(trees.starts[n], trees.starts[n + 1])]
        assert structure.symmetry(n).tolist() == [tree.symmetry for tree in own]
        assert structure.density(n).tolist() == [tree.density for tree in own]


@pytest.mark.parametrize(("vertices", "colors"), [(6, 1), (4, 2)])
def test_symmetry_and_density_are_what_their_definitions_say(vertices, colors):
    structure = SymmetryAndDensity(catalog(vertices, colors))
    trees = structure.catalog
    for n in range(1, vertices + 1):
        own = [trees.tree(i) for i in range(trees.starts[n], trees.starts[n + 1])]
        plain = [oracle.from_levels(tree.level_sequence, tree.colors) for tree in own]
        assert structure.symmetry(n).tolist() == list(map(oracle.symmetry, plain))
        assert structure.density(n).tolist() == list(map(oracle.density, plain))


@pytest.mark.parametrize(("vertices", "colors"), [(15, 1), (9, 2)])
def test_the_labelings_of_all_trees_add_up(vertices, colors):
    # Σ n!/(σγ) = kⁿ (n-1)!
    structure = SymmetryAndDensity(Catalog(vertices, colors))
    for n in range(1, vertices + 1):
        products = structure.symmetry(n).astype(object) * structure.density(n)
        assert all(factorial(n) % product == 0 for product in set(products.tolist()))
        total = sum(factorial(n) // product for product in products.tolist())
        assert total == colors**n * factorial(n - 1)


def test_symmetry_and_density_switch_to_wider_numbers_where_factorials_leave_64_bits():
    assert factorial(20) <= INT64_MAX < factorial(21)
    trees = Catalog(23)
    structure = SymmetryAndDensity(trees)
    dtypes = {}
    for n in range(18, 24):
        # Trees with many vertices made of two halves, so that no large table is needed
        part = next(part for part in trees.ranges(n, 1 << 14) if 2 * part.child_order >= n)
        symmetry, density = structure.symmetry_of(part), structure.density_of(part)
        start = trees.starts[n] + part.start
        own = [trees.tree(start + i) for i in range(5)]
        assert symmetry[:5].tolist() == [tree.symmetry for tree in own]
        assert density[:5].tolist() == [tree.density for tree in own]
        dtypes[n] = symmetry.dtype, density.dtype
    small, large = np.dtype(np.int64), np.dtype(object)
    assert dtypes == {
        **dict.fromkeys((18, 19, 20), (small, small)),
        21: (small, large),
        **dict.fromkeys((22, 23), (large, large)),
    }


def test_symmetries_and_densities_cannot_be_changed():
    structure = SymmetryAndDensity(catalog(4, 2))
    for n in range(1, 5):
        for array in (structure.symmetry(n), structure.density(n)):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 7
