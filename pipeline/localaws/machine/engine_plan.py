"""Which Docker engine the local AWS uses, and what one of our own looks like: values only."""

import hashlib
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Final

DEFAULT_SOCKET = "/var/run/docker.sock"
PREFIX = "pipeline-"

# Every engine of ours takes one /20 of this private block; Docker's own default networks are /16s of it, which shows in
# the host's routes, as does any VPN.
POOLS: Final = list(IPv4Network("172.16.0.0/12").subnets(new_prefix=20))


@dataclass(frozen=True)
class Candidate:
    """An engine that may exist.

    Attributes:
        host: As in DOCKER_HOST, e.g. `unix:///var/run/docker.sock`.
        source: Where we know it from.
        problem: Why it cannot be used; "" when it answers.
    """

    host: str
    source: str
    problem: str


@dataclass(frozen=True)
class Choice:
    """Which engine to use. `existing` is None when one of our own is needed; `reason` says why either way."""

    existing: str | None
    reason: str


def choose(candidates: Sequence[Candidate]) -> Choice:
    """The first engine that answers, else one of our own."""
    for candidate in candidates:
        if not candidate.problem:
            return Choice(candidate.host, f"the Docker engine at {candidate.host} ({candidate.source}) answers")
    tried = "; ".join(f"{each.host} ({each.source}): {each.problem}" for each in candidates)
    return Choice(None, f"no Docker engine answers: {tried}")


@dataclass(frozen=True)
class OwnEngine:
    """An engine of our own: its names and places all follow from its folder, so two clones never share one.

    Attributes:
        name: Marks all that is outside the folder: the runtime folder, the cgroup, comments of firewall rules.
        data: Images, containers, volumes.
        runtime: Sockets and run-time state; a socket's path must stay below 108 bytes, and the folder's may be long.
    """

    name: str
    data: Path
    runtime: Path

    @staticmethod
    def of(folder: Path, runtime_base: Path) -> "OwnEngine":
        """The engine whose files lie below `folder`, an absolute path."""
        name = PREFIX + hashlib.sha256(str(folder).encode()).hexdigest()[:10]
        return OwnEngine(name, folder / "data", runtime_base / name)

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.runtime / "docker.sock"

    @property
    def configuration(self) -> Path:
        """Its configuration file, an empty one: what the host's says for its own engine may contradict ours."""
        return self.runtime / "daemon.json"

    @property
    def host(self) -> str:
        """The same, as in DOCKER_HOST."""
        return f"unix://{self.socket}"

    @property
    def bridge(self) -> str:
        """Its network interface; the kernel allows 15 characters."""
        return f"pl{self.name.removeprefix(PREFIX)}"

    def command(self, network: "EngineNetwork") -> list[str]:
        """The daemon's command line.

        The firewall is ours, not the daemon's: Docker's own chains have fixed names, which two engines would fight
        over, and it leaves them behind when it stops.
        """
        return [
            "dockerd",
            f"--config-file={self.configuration}",
            f"--host={self.host}",
            f"--data-root={self.data}",
            f"--exec-root={self.runtime / 'exec'}",
            f"--pidfile={self.runtime / 'docker.pid'}",
            "--exec-opt=native.cgroupdriver=cgroupfs",  # works with and without systemd, cgroup v1 and v2
            f"--cgroup-parent=/{self.name}",
            f"--bridge={self.bridge}",
            f"--default-address-pool=base={network.user_defined},size=26",
            f"--mtu={network.mtu}",
            "--iptables=false",
            "--ip6tables=false",
            "--ip-masq=false",
            "--ip-forward=false",
            "--shutdown-timeout=5",
        ]


@dataclass(frozen=True)
class EngineNetwork:
    """The addresses of an engine of our own.

    Attributes:
        pool: All of them; masqueraded when they leave the machine.
        mtu: Bytes of a packet, as on the host's way out: larger ones would be lost without a word.
    """

    pool: IPv4Network
    mtu: int

    @property
    def gateway(self) -> str:
        """The bridge's own address with its prefix: the first /24 is the default network."""
        default = next(self.pool.subnets(new_prefix=24))
        return f"{default[1]}/24"

    @property
    def user_defined(self) -> IPv4Network:
        """The half of the pool for networks that somebody creates in the engine."""
        return list(self.pool.subnets(new_prefix=21))[1]


def choose_pool(name: str, taken: Iterable[IPv4Network]) -> IPv4Network | None:
    """A pool that overlaps nothing the host knows; the name decides where the search begins, so clones spread out."""
    occupied = list(taken)
    first = int(hashlib.sha256(name.encode()).hexdigest(), 16) % len(POOLS)
    for pool in [*POOLS[first:], *POOLS[:first]]:
        if not any(pool.overlaps(other) for other in occupied):
            return pool
    return None


def taken_networks(routes: Sequence[dict[str, object]], resolv_conf: str) -> list[IPv4Network]:
    """What the host reaches already: `ip -json route show table all`, and its name servers."""
    found = []
    for route in routes:
        destination = str(route.get("dst", ""))
        if destination and destination != "default" and ":" not in destination:
            found.append(IPv4Network(destination, strict=False))
    for line in resolv_conf.splitlines():
        words = line.split()
        if words[:1] == ["nameserver"] and len(words) > 1 and ":" not in words[1]:
            found.append(IPv4Network(IPv4Address(words[1])))
    return found


def firewall_rules(name: str, pool: IPv4Network) -> list[tuple[str, str, list[str]]]:
    """The rules that let containers out: (table, chain, rule), each with the engine's name as its comment."""
    inside, comment = str(pool), ["-m", "comment", "--comment", name]
    return [
        ("nat", "POSTROUTING", ["-s", inside, "!", "-d", inside, *comment, "-j", "MASQUERADE"]),
        ("filter", "FORWARD", ["-s", inside, *comment, "-j", "ACCEPT"]),
        (
            "filter",
            "FORWARD",
            ["-d", inside, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", *comment, "-j", "ACCEPT"],
        ),
    ]


def firewall_deletions(name: str, saved: str) -> list[tuple[str, list[str]]]:
    """(table, arguments) that delete every rule carrying the name, from the text of `iptables-save`."""
    table, found = "", []
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith("-A "):
            words = shlex.split(line)
            if "--comment" in words and words[words.index("--comment") + 1] == name:
                found.append((table, ["-D", *words[1:]]))
    return found


def mounts_below(folders: Sequence[Path], mountinfo: str) -> list[Path]:
    """Mount points in or at one of the folders, the innermost first, from the text of /proc/self/mountinfo."""
    points = [Path(line.split()[4].encode().decode("unicode_escape")) for line in mountinfo.splitlines()]
    ours = [point for point in points if any(point == folder or folder in point.parents for folder in folders)]
    return sorted(ours, key=lambda point: len(point.parts), reverse=True)
