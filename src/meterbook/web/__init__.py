"""HTML pages; each is also JSON of the same data for those who ask for it."""
