from typing import Any

import pytest

from pipeline.localaws.cloudformation.graph import order
from pipeline.localaws.cloudformation.intrinsics import Unknown
from pipeline.localaws.cloudformation.plan import Action, Recorded, Wanted, decide, plan, removal, removals
from pipeline.localaws.cloudformation.template import TemplateError

CREATE_ONLY = (("Name",), ("Network", "Subnets"))


def wanted(name: str = "A", kind: str = "T", *, needs: tuple[str, ...] = (), **properties: Any) -> Wanted:
    return Wanted(name, kind, properties, needs)


def exists(name: str = "A", *, needs: tuple[str, ...] = (), **properties: Any) -> Recorded:
    return Recorded(wanted(name, needs=needs, **properties), f"{name}-id", {})


@pytest.mark.parametrize(
    ("before", "after", "action", "reason"),
    [
        (None, {"Size": 1}, Action.ADD, "it does not exist yet"),
        ({"Size": 1}, {"Size": 1}, Action.KEEP, "no property differs"),
        ({"Size": 1}, {"Size": 2}, Action.MODIFY, "Size differs"),
        ({"Size": 1}, {}, Action.MODIFY, "Size differs"),
        ({"Name": "a"}, {"Name": "b"}, Action.REPLACE, "Name differs; Name cannot change in place"),
        ({"Name": "a"}, {"Name": Unknown("B")}, Action.REPLACE, "Name differs; Name cannot change in place"),
        ({"Network": {"Subnets": [1]}}, {"Network": {"Subnets": [2]}}, Action.REPLACE,
         "Network/Subnets differs; Network/Subnets cannot change in place"),
        ({"Network": {"Groups": [1]}}, {"Network": {"Groups": [2]}}, Action.MODIFY, "Network differs"),
    ],
)  # fmt: skip
def test_the_table_of_changes(before: Any, after: Any, action: Action, reason: str) -> None:
    existing = None if before is None else exists(**before)
    change = decide(existing, wanted(**after), CREATE_ONLY)
    assert (change.action, change.reason) == (action, reason)


def test_a_replacement_that_hangs_on_an_unknown_value_is_conditional() -> None:
    assert decide(exists(Name="a"), wanted(Name=Unknown("B")), CREATE_ONLY).conditional
    assert not decide(exists(Name="a"), wanted(Name="b"), CREATE_ONLY).conditional


def test_a_type_cannot_change() -> None:
    with pytest.raises(TemplateError, match=r"following resources: \[A\]"):
        decide(exists(), wanted(kind="U"), CREATE_ONLY)


def test_policies_say_whether_the_old_one_stays() -> None:
    kept = Recorded(Wanted("A", "T", {"Name": "a"}, deletion_policy="Retain", update_replace_policy="Retain"), "id", {})
    assert decide(kept, wanted(Name="b"), CREATE_ONLY).retained
    assert removal(kept).retained
    assert not removal(exists()).retained


def test_who_refers_to_a_replaced_resource_changes_too() -> None:
    existing = {"A": exists(Name="old"), "B": exists("B", needs=("A",), Of="A-id"), "C": exists("C", Size=1)}

    def resolve(name: str, look: Any) -> Wanted:
        if name == "A":
            return wanted(Name="new")
        if name == "B":
            found = look("A")
            return wanted("B", needs=("A",), Of=found if isinstance(found, Unknown) else found.physical_id)
        return wanted("C", Size=1)

    changes = plan(existing, ["A", "B", "C"], resolve, lambda _: CREATE_ONLY).changes
    assert [change.action for change in changes] == [Action.REPLACE, Action.MODIFY, Action.KEEP]
    assert changes[1].properties[0].dynamic


def test_removals_come_last_and_whatever_needs_another_goes_first() -> None:
    gone = {"A": exists("A"), "B": exists("B", needs=("A",)), "C": exists("C", needs=("B",))}
    assert [recorded.logical_id for recorded in removals(gone.values())] == ["C", "B", "A"]
    changes = plan({**gone, "D": exists("D")}, ["D"], lambda *_: wanted("D"), lambda _: ()).changes
    assert [(change.logical_id, change.action) for change in changes] == [
        ("D", Action.KEEP), ("C", Action.REMOVE), ("B", Action.REMOVE), ("A", Action.REMOVE),
    ]  # fmt: skip


def test_order_follows_needs_and_otherwise_the_template() -> None:
    assert order({"a": ["c"], "b": [], "c": []}) == ["c", "a", "b"]


def test_a_cycle_is_named_member_by_member() -> None:
    with pytest.raises(TemplateError, match=r"\[a, b, c\] \(a → b → c → a\)"):
        order({"a": ["b"], "b": ["c"], "c": ["a"]})
