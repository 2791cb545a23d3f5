"""The page: what a browser shows of a run, as one file or live. Its data, its words, and what serves it."""
