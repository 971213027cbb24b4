"""Read-only questions; the SQL lives here."""
