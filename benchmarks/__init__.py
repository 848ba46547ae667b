"""How fast and how good sktae is, beside others; see README.md."""
