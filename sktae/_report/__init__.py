"""`write_report`: a page on a fitted detector and on the rows that it judges."""
