"""JSON routes, one file per noun; translation only."""
