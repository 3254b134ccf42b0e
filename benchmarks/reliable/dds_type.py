# pyright: basic, reportMissingImports=false, reportCallIssue=false, reportGeneralTypeIssues=false
"""What CycloneDDS sends: its types cannot be made where annotations are strings, as in the other modules."""

from dataclasses import dataclass

from cyclonedds.idl import IdlStruct
from cyclonedds.idl.types import sequence, uint8


@dataclass
class Sample(IdlStruct, typename="Sample"):
    data: sequence[uint8]
