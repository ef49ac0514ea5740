"""Which engine, which addresses, which rules: the decisions, with values alone."""

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from pipeline.localaws.machine.engine_plan import (
    POOLS,
    Candidate,
    EngineNetwork,
    OwnEngine,
    choose,
    choose_pool,
    firewall_deletions,
    firewall_rules,
    mounts_below,
    taken_networks,
)

GIVEN = Candidate("tcp://10.0.0.1:2375", "DOCKER_HOST", "")
DEFAULT = Candidate("unix:///var/run/docker.sock", "the default socket", "")
DEAD = Candidate("unix:///var/run/docker.sock", "the default socket", "there is no such socket")


@pytest.mark.parametrize(
    ("candidates", "existing"),
    [([GIVEN, DEFAULT], GIVEN.host), ([DEAD, DEFAULT], DEFAULT.host), ([DEAD], None), ([], None)],
)
def test_the_first_engine_that_answers_is_used_else_one_of_our_own(
    candidates: list[Candidate], existing: str | None
) -> None:
    assert choose(candidates).existing == existing


def test_the_choice_of_our_own_engine_says_what_was_tried_and_why_not() -> None:
    assert "unix:///var/run/docker.sock (the default socket): there is no such socket" in choose([DEAD]).reason


def test_two_clones_have_nothing_in_common() -> None:
    one, other = (
        OwnEngine.of(Path(folder), Path("/run")) for folder in ("/home/a/clone/docker", "/home/b/clone/docker")
    )
    assert one.name != other.name
    assert one.bridge != other.bridge
    assert one.socket != other.socket


def test_names_fit_the_kernels_limits_however_deep_the_folder_lies() -> None:
    engine = OwnEngine.of(Path("/very" * 60) / "docker", Path("/run"))
    assert len(engine.bridge) <= 15
    assert len(str(engine.runtime / "exec/containerd/containerd.sock.ttrpc")) < 108


def test_the_pool_avoids_everything_the_host_reaches() -> None:
    free = POOLS[77]
    taken = [pool for pool in POOLS if pool != free]
    assert choose_pool("any", taken) == free


def test_there_is_no_pool_when_all_is_taken() -> None:
    assert choose_pool("any", [IPv4Network("172.16.0.0/12")]) is None


def test_routes_of_the_host_and_its_name_servers_are_taken() -> None:
    routes: list[dict[str, object]] = [
        {"dst": "default"},
        {"dst": "172.17.0.0/16"},
        {"dst": "fe80::/64"},
        {"dst": "10.1.2.3"},
    ]
    assert taken_networks(routes, "search example\nnameserver 172.20.0.2\nnameserver ::1\n") == [
        IPv4Network("172.17.0.0/16"),
        IPv4Network("10.1.2.3/32"),
        IPv4Network("172.20.0.2/32"),
    ]


def test_networks_that_people_create_do_not_overlap_the_default_one() -> None:
    network = EngineNetwork(IPv4Network("172.25.16.0/20"), 1400)
    assert network.gateway == "172.25.16.1/24"
    assert network.user_defined == IPv4Network("172.25.24.0/21")


def test_every_rule_made_is_found_again_by_its_comment() -> None:
    mine = firewall_rules("pipeline-a", IPv4Network("172.25.16.0/20"))
    foreign = firewall_rules("pipeline-ab", IPv4Network("172.26.16.0/20"))
    saved = ""
    for table in ("nat", "filter"):
        rules = [f"-A {chain} {' '.join(rule)}" for at, chain, rule in [*mine, *foreign] if at == table]
        saved += "\n".join([f"*{table}", ":FORWARD ACCEPT [0:0]", *rules, "COMMIT", ""])
    expected = {(table, ("-D", chain, *rule)) for table, chain, rule in mine}
    assert {(table, tuple(rule)) for table, rule in firewall_deletions("pipeline-a", saved)} == expected


def test_mounts_are_found_innermost_first_and_only_ours() -> None:
    mountinfo = "\n".join(
        f"36 35 98:0 / {point} rw - ext4 /dev/x rw"
        for point in ("/run/p", "/run/p/exec/netns/1", "/run/pp", r"/data\040x/overlay2/merged", "/")
    )
    assert mounts_below([Path("/run/p"), Path("/data x")], mountinfo) == [
        Path("/run/p/exec/netns/1"),
        Path("/data x/overlay2/merged"),
        Path("/run/p"),
    ]
