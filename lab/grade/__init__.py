"""Assignments, and the marking of what students hand in: right answers come from each student's own capture."""
