"""Methods as update rules and tables."""
