"""A report: what it holds, how it reads (tables, a page, JUnit XML), and one against another."""
