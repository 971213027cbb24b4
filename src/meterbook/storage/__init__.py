"""The schema and the two engines that hold it; no business rule lives here."""
