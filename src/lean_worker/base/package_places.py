"""The directory of a search path in which Lean finds a package: the first that has something of that name.

A module that lies in a later directory is another one as soon as its package appears in an earlier one.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence

MODULE_SUFFIX = ".olean"


class PackagePlaces:
    """Directories of a search path, and what each had of some packages.

    Args:
        search_path: The directories, in Lean's order.
        owners: By the first part of the modules' names, the number of the directory in which Lean found them.
    """

    def __init__(self, search_path: Sequence[str], owners: Mapping[str, int]) -> None:
        looked_at = (
            os.path.join(search_path[at], package) for package, owner in owners.items() for at in range(owner + 1)
        )
        self._found = {path: _found_at(path) for path in looked_at}

    def still_hold(self) -> bool:
        """Return whether Lean would look for these packages in the same directories now."""
        return all(_found_at(path) == found for path, found in self._found.items())


def _found_at(path: str) -> tuple[bool, bool]:
    """Whether Lean takes the directory that `path` lies in for that of the package `path`, and for which reason."""
    try:
        is_directory = stat.S_ISDIR(os.stat(path).st_mode)
    except OSError:
        is_directory = False
    return is_directory, os.path.exists(path + MODULE_SUFFIX)
