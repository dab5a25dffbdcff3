"""One document tree, three renderers: HTML, DOCX, PDF."""
