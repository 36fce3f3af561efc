"""A report for people: tables, a page, one picture."""
