"""How values are written as JSON: the parts that the codec is put together from."""
