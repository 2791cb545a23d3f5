"""Speed, beside the tools that a user would pick, and beside its goals: `make bench`, docs/performance.md."""
