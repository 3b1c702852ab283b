"""Quick-look pictures, one module per kind of measurement."""
