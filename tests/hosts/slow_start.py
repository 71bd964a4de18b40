"""Hosted code whose import says that it has begun, and does not end."""

import os
import pathlib
import time

pathlib.Path(os.environ["STARTED"]).touch()
time.sleep(600)
COMMANDS = {}
