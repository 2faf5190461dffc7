"""Text, LaTeX, files and pictures."""
