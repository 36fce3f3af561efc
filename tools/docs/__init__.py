"""What makes the site out of docs/ (mkdocs.yml), and its pictures."""
