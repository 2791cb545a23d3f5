"""What shows: the same trace as a ladder, as JSON, as a table, as comments in a capture. Nothing is decided here."""
