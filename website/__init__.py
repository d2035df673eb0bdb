"""The site of the documentation: what of it is made from the code, and how it is built from `docs/`."""
