"""Everything about one loss on one page."""
