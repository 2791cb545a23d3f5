"""The protocols, a folder each; the registry lists them, the catalogue their scenarios."""
