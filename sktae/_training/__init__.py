"""A fit: rows prepared, a budget laid out, a network trained, fitted state made."""
