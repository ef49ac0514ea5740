"""Task sizes that Fargate sells: values only (ECS developer guide, "Task size").

| vCPU | CPU units | memory in MiB |
| --- | --- | --- |
| 0.25 | 256 | 512, 1024, 2048 |
| 0.5 | 512 | 1024 to 4096 in steps of 1024 |
| 1 | 1024 | 2048 to 8192 in steps of 1024 |
| 2 | 2048 | 4096 to 16384 in steps of 1024 |
| 4 | 4096 | 8192 to 30720 in steps of 1024 |
| 8 | 8192 | 16384 to 61440 in steps of 4096 |
| 16 | 16384 | 32768 to 122880 in steps of 8192 |
"""

import re
from dataclasses import dataclass
from typing import Final

UNITS: Final = 1024  # of one vCPU, and MiB of one GB
_MEMORY: Final = {
    256: (512, 1024, 2048),
    512: range(1024, 4096 + 1, 1024),
    1024: range(2048, 8192 + 1, 1024),
    2048: range(4096, 16384 + 1, 1024),
    4096: range(8192, 30720 + 1, 1024),
    8192: range(16384, 61440 + 1, 4096),
    16384: range(32768, 122880 + 1, 8192),
}
_AMOUNT = re.compile(r"(?P<number>\d*\.?\d+) ?(?P<unit>vcpu|gb)?", re.IGNORECASE)


class SizeError(ValueError):
    """Fargate has no such size."""


@dataclass(frozen=True)
class Size:
    """What a task has: CPU units (1024 are one vCPU) and MiB of memory."""

    cpu: int
    memory: int


def size(cpu: str | None, memory: str | None) -> Size:
    """The size of a task, from the texts of its task definition or overrides: `512`, `.5 vCPU`, `1024`, `1 GB`.

    Raises:
        SizeError: One is missing or Fargate does not sell the two together.
    """
    found = Size(_amount(cpu), _amount(memory))
    if found.memory not in _MEMORY.get(found.cpu, ()):
        raise SizeError(f"No Fargate configuration exists for given values: {found.cpu} CPU, {found.memory} memory.")
    return found


def _amount(text: str | None) -> int:
    parsed = _AMOUNT.fullmatch((text or "").strip())
    if parsed is None:
        raise SizeError(f"Invalid 'cpu' or 'memory' setting for task: {text!r}")
    return round(float(parsed["number"]) * (UNITS if parsed["unit"] else 1))
