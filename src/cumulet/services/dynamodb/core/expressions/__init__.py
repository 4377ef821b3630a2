"""The expression language: text -> tokens -> tree (cached by text) -> bound to one request's names and values."""
