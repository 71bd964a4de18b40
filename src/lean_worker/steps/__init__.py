"""How rules wait: steps that threads and event loops drive, and the threads that belong to the process."""
