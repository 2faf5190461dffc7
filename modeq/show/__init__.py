"""What a result looks like, and its writers: text, HTML, LaTeX, Markdown, pictures."""
