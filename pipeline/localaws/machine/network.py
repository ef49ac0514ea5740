"""The network of a Docker engine of our own: a bridge, three firewall rules, forwarding; made and taken away again."""

import json
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.localaws.machine.engine_plan import (
    EngineNetwork,
    OwnEngine,
    choose_pool,
    firewall_deletions,
    firewall_rules,
    taken_networks,
)
from pipeline.process import run

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
RESOLV_CONF = Path("/etc/resolv.conf")
DEFAULT_MTU = 1500


class Network:
    """Sets up and removes what an engine's containers need to reach the network as the host does.

    Args:
        engine: The engine it is for.
        record: A file that remembers what was set up, for whoever cleans up after a crash.
    """

    def __init__(self, engine: OwnEngine, record: Path) -> None:
        self._engine = engine
        self._record = record

    def up(self) -> EngineNetwork:
        """Make the bridge and the rules; what an earlier engine left must be removed before, by `down`.

        Raises:
            PipelineError: Every pool overlaps something the host reaches.
        """
        routes = _ip("route", "show", "table", "all")
        pool = choose_pool(self._engine.name, taken_networks(routes, RESOLV_CONF.read_text(encoding="utf-8")))
        if pool is None:
            raise PipelineError("no free private network for containers in 172.16.0.0/12", mend="ip route show")
        network = EngineNetwork(pool, _mtu(routes))
        forwarding = FORWARDING.read_text(encoding="ascii").strip()
        self._record.parent.mkdir(parents=True, exist_ok=True)
        self._record.write_text(json.dumps({"pool": str(pool), "forwarding": forwarding}), encoding="utf-8")
        bridge = self._engine.bridge
        run(["ip", "link", "add", bridge, "type", "bridge"])
        run(["ip", "address", "add", network.gateway, "dev", bridge])
        run(["ip", "link", "set", bridge, "up", "mtu", str(network.mtu)])
        for table, chain, rule in firewall_rules(self._engine.name, pool):
            # First in its chain: on a host with another engine the chain's policy is to drop.
            run(["iptables", "--wait", "--table", table, "--insert", chain, "1", *rule])
        FORWARDING.write_text("1", encoding="ascii")
        return network

    def is_up(self) -> bool:
        """Whether anything was set up and not removed since."""
        return self._record.exists()

    def down(self) -> None:
        """Remove all of it, whether `up` was by this process or by one that crashed half way."""
        for table in ("nat", "filter"):
            saved = run(["iptables-save", "--table", table])
            for each, arguments in firewall_deletions(self._engine.name, saved):
                run(["iptables", "--wait", "--table", each, *arguments])
        for bridge in self._bridges():
            run(["ip", "link", "delete", bridge])
        if self._record.exists():
            self._restore_forwarding()
            self._record.unlink()

    def _bridges(self) -> list[str]:
        """Our bridge, and those of networks that somebody created in the engine: they lie in its pool."""
        pool = IPv4Network(self._recorded()["pool"]) if self._record.exists() else None
        found = []
        for link in _ip("-details", "address"):
            addresses = [IPv4Network(each["local"]) for each in link["addr_info"] if each["family"] == "inet"]
            in_pool = pool is not None and any(address.subnet_of(pool) for address in addresses)
            is_bridge = link.get("linkinfo", {}).get("info_kind") == "bridge"
            if is_bridge and (link["ifname"] == self._engine.bridge or in_pool):
                found.append(link["ifname"])
        return found

    def _restore_forwarding(self) -> None:
        """Forwarding as it was, unless another engine came to need it meanwhile."""
        others = [link for link in _ip("link", "show", "type", "bridge") if link.get("ifname")]
        if self._recorded()["forwarding"] == "0" and not others:
            FORWARDING.write_text("0", encoding="ascii")

    def _recorded(self) -> dict[str, str]:
        recorded: dict[str, str] = json.loads(self._record.read_text(encoding="utf-8"))
        return recorded


def _ip(*arguments: str) -> list[dict[str, Any]]:
    listing: list[dict[str, Any]] = json.loads(run(["ip", "-json", *arguments]) or "[]")
    return listing


def _mtu(routes: list[dict[str, Any]]) -> int:
    """The MTU of the interface of the default route."""
    for route in routes:
        if route.get("dst") == "default" and "dev" in route:
            path = Path("/sys/class/net") / route["dev"] / "mtu"
            return int(path.read_text(encoding="ascii"))
    return DEFAULT_MTU
