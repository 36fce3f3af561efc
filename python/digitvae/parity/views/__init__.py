"""A report for eyes (tables, a page) and for programs (JUnit XML)."""
