"""Modified equations of a given loss, exactly, over sympy."""
