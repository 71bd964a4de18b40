"""Many requests: scheduling, outcomes, and resumable jobs."""
