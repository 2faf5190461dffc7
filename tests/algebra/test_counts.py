"""How many trees there are, and what fits in memory."""

import os
import sys

import pytest
import tree_oracle as oracle

from modeq.algebra.counts import MAX_COUNTED, check_memory, physical_memory, tree_counts
from modeq.errors import InvalidOrder


def test_there_are_as_many_trees_as_in_the_encyclopedia():
    # OEIS A000081 and, for two colors, A038055
    known = [0, 1, 1, 2, 4, 9, 20, 48, 115, 286, 719, 1842, 4766, 12486, 32973, 87811, 235381]
    assert list(tree_counts(16)) == known
    assert list(tree_counts(8, 2)) == [0, 2, 4, 14, 52, 214, 916, 4116, 18996]
    assert sum(tree_counts(20)) == 20_247_374
    assert sum(tree_counts(22)) == 152_524_387
    assert (tree_counts(0), tree_counts(1, 3)) == ((0,), (0, 3))


@pytest.mark.parametrize(
    ("vertices", "colors"), [(1, 1), (2, 1), (3, 1), (8, 1), (1, 2), (2, 3), (6, 2), (4, 3)]
)
def test_there_are_as_many_trees_as_can_be_made_vertex_by_vertex(vertices, colors):
    vertices = min(vertices, 6 if colors == 1 else 4)
    found = tuple(len(oracle.all_trees(n, colors)) for n in range(1, vertices + 1))
    assert tree_counts(vertices, colors)[1:] == found


def test_trees_that_nobody_could_list_are_not_counted():
    assert len(tree_counts(MAX_COUNTED)) == MAX_COUNTED + 1
    assert tree_counts(MAX_COUNTED)[-1] > 10**100
    message = r"^order=400 means more than 10\^100 trees; take an order below 20 or so$"
    with pytest.raises(InvalidOrder, match=message):
        tree_counts(MAX_COUNTED + 1)


def test_work_that_does_not_fit_in_memory_is_refused_in_numbers():
    check_memory(20, 1, 1000, limit=1000)
    with pytest.raises(InvalidOrder, match=r"order=19 means 20,247,374 trees.*1,001 bytes; 1,000"):
        check_memory(20, 1, 1001, limit=1000)
    with pytest.raises(InvalidOrder, match="order=2 means 20 trees"):
        check_memory(3, 2, 11, limit=10)
    assert physical_memory() > 10**8
    with pytest.raises(InvalidOrder, match="order=2 means 4 trees"):
        check_memory(3, 1, 10**30)


@pytest.mark.skipif(
    "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", ()), reason="the machine does not tell"
)
def test_the_memory_is_what_the_machine_tells():
    assert physical_memory() < sys.maxsize


def test_a_machine_that_does_not_tell_its_memory_has_no_limit(monkeypatch):
    def sysconf(name):
        raise ValueError(name)

    monkeypatch.setattr("os.sysconf", sysconf)
    assert physical_memory() == sys.maxsize
