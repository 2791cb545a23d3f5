"""Rows of a large file without a record for each packet: one entrance, `lab.bulk.rows`."""
