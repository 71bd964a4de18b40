"""What the pages under docs/ ask of a capability, as Python functions."""

from __future__ import annotations


def declarations(request):
    for index in range(int(request)):
        yield {"index": index}


def endless(request):
    index = 0
    while True:
        yield {"index": index}
        index += 1


def version(request):
    return "4.35.0"


COMMANDS = {"declarations": declarations, "endless": endless, "version": version}
