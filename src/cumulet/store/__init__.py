"""The ordered, transactional key-value store under everything. It knows bytes, not AWS."""
