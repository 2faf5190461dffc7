"""Rooted trees: what they are, and their pictures in text, LaTeX and SVG."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    "modeq",
    submod_attrs={
        "algebra.trees": ["RootedTree", "rooted_trees"],
        "algebra.drawing": ["tree_latex", "tree_svg", "tree_text"],
        "formats.tree_figures": ["plot_trees"],
        "methods.universal": ["tree_blocks", "tree_table"],
        "algebra.tree_table": ["TreeTable"],
    },
)
