"""The public names of modeq.trees and where they are."""

from modeq.algebra.drawing import tree_latex as tree_latex
from modeq.algebra.drawing import tree_svg as tree_svg
from modeq.algebra.drawing import tree_text as tree_text
from modeq.algebra.tree_table import TreeTable as TreeTable
from modeq.algebra.trees import RootedTree as RootedTree
from modeq.algebra.trees import rooted_trees as rooted_trees
from modeq.formats.tree_figures import plot_trees as plot_trees
from modeq.methods.universal import tree_blocks as tree_blocks
from modeq.methods.universal import tree_table as tree_table
