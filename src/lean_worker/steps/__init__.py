"""Steps (generators that yield their waits), their drivers, and the threads that the process shares."""
