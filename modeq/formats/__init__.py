"""An equation in the formats that people and programs read: text, LaTeX, JSON, source."""
