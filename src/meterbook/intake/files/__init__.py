"""Files that come in: one module for each format, each turns foreign bytes into columns."""
