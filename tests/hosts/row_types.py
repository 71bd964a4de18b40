"""Row types in a module that the nodes of a cluster can import."""

import msgspec


class Declaration(msgspec.Struct):
    i: int
    name: str
