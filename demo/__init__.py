"""What sktae does, in three acts on real data: `python -m demo` writes one page, demo.html."""
