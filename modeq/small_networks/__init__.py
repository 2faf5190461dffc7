"""Networks small enough for formulas."""
