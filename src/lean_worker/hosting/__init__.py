"""What a worker hosts, and what it may use."""
