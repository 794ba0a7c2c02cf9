"""What a layout is made of: fields, and the forms of packets, commands and host packets that hold them."""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct

from firmware_protocol.codes import HostKind, Opcode, Type

__all__ = ["CommandLayout", "Field", "HostLayout", "PacketLayout"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field: offset, `struct` code ("x" reserved, sent 0), name, unit, rule."""

    offset: int
    code: str
    name: str
    unit: str = ""
    text: str = ""

    @property
    def size(self) -> int:
        """Bytes."""
        return Struct("<" + self.code).size


@dataclass(frozen=True, slots=True)
class PacketLayout:
    """Fixed part of a packet; `tail` says what follows it, and so what length the header states."""

    type: Type
    section: str
    fields: tuple[Field, ...]
    tail: str = ""
    struct: Struct = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "struct", _struct(self.fields))

    @property
    def size(self) -> int:
        """Bytes of the fixed part, without the CRC."""
        return self.struct.size


@dataclass(frozen=True, slots=True)
class CommandLayout:
    """Arguments and results of one opcode. Offsets count from the first payload byte."""

    opcode: Opcode
    arguments: tuple[Field, ...]
    results: tuple[Field, ...]
    while_streaming: bool
    text: str
    more_arguments: str = ""
    more_results: str = ""
    optional: bool = False  # the arguments may be left out as a whole
    struct: Struct = field(init=False, compare=False)
    result_struct: Struct = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "struct", _struct(self.arguments))
        object.__setattr__(self, "result_struct", _struct(self.results))


@dataclass(frozen=True, slots=True)
class HostLayout:
    """Payload of one kind of HOST packet. Offsets count from the first payload byte, times are monotonic."""

    kind: HostKind
    section: str
    fields: tuple[Field, ...]
    tail: str
    struct: Struct = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "struct", _struct(self.fields))


def _struct(fields: tuple[Field, ...]) -> Struct:
    return Struct("<" + "".join(f.code for f in fields))
