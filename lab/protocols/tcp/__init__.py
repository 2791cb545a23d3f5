"""TCP: the programs the hosts run, the table of states, the notes and the scenarios."""
