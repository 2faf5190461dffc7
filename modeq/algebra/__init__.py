"""Rooted trees, B-series and their laws: exact, and without sympy."""
