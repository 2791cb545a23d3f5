"""How marks look: each report is made of the canonical JSON of `marking.py`, and of nothing else."""
