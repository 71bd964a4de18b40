"""The two sides of a verification: declarations as data, and a judge that replays them through Lean's kernel."""
