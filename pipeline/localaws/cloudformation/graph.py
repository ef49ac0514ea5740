"""Which resource needs which, and the order that follows."""

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.localaws.cloudformation.intrinsics import Scope, names_in_sub
from pipeline.localaws.cloudformation.template import Template, TemplateError


def active(template: Template, scope: Scope) -> list[str]:
    """Logical ids of the resources whose condition holds, in the template's order."""
    return [
        name
        for name, resource in template.resources.items()
        if resource.condition is None or scope.condition(resource.condition)
    ]


def references(value: Any, scope: Scope) -> set[str]:
    """Names that a value takes by Ref, GetAtt and Sub; only the branch of an If that is taken counts."""
    if isinstance(value, Mapping):
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name == "Ref":
                return {str(argument)}
            if name == "Fn::GetAtt":
                return {str(argument if isinstance(argument, str) else argument[0]).split(".", maxsplit=1)[0]}
            if name == "Fn::Sub":
                inner = set() if isinstance(argument, str) else references(argument[1], scope)
                # A parameter may not hold a dot, a pseudo parameter holds colons: what is before the dot is the name.
                return inner | {found.split(".", 1)[0] for found in names_in_sub(argument)}
            if name == "Fn::If":
                condition, yes, no = argument
                return references(yes if scope.condition(condition) else no, scope)
        return _union(value.values(), scope)
    return _union(value, scope) if isinstance(value, list | tuple) else set()


def dependencies(template: Template, scope: Scope) -> dict[str, tuple[str, ...]]:
    """Active resource → the resources it needs, sorted.

    Raises:
        TemplateError: Something refers to what the template does not have, or what its conditions leave out.
    """
    present = active(template, scope)
    known = set(present)
    found = {}
    for name in present:
        resource = template.resources[name]
        wanted = references(resource.properties, scope)
        _refuse_missing(wanted - known - set(scope.parameters), "Resources", template)
        undeclared = [other for other in resource.depends_on if other not in template.resources]
        _refuse_missing(set(undeclared), "Resources", template)
        found[name] = tuple(sorted((wanted | set(resource.depends_on)) & known))
    for output in template.outputs.values():
        if "Condition" not in output or scope.condition(output["Condition"]):
            _refuse_missing(references(output.get("Value"), scope) - known - set(scope.parameters), "Outputs", template)
    return found


def _refuse_missing(missing: set[str], section: str, template: Template) -> None:
    missing = {name for name in missing if not name.startswith("AWS::")}
    if not missing:
        return
    left_out = sorted(missing & set(template.resources))
    why = f" ({', '.join(left_out)}: its condition is false)" if left_out else ""
    raise TemplateError(
        f"Template format error: Unresolved resource dependencies [{', '.join(sorted(missing))}] "
        f"in the {section} block of the template{why}"
    )


def order(needs: Mapping[str, Iterable[str]]) -> list[str]:
    """Every name after the names it needs, otherwise in the given order.

    `{"a": ["b"], "b": [], "c": []}` gives `["b", "a", "c"]`.

    Raises:
        TemplateError: Names need each other; the cycle is named member by member.
    """
    placed: list[str] = []
    done: set[str] = set()

    def place(name: str, way: tuple[str, ...]) -> None:
        if name in done:
            return
        if name in way:
            cycle = [*way[way.index(name) :], name]
            members = ", ".join(sorted(set(cycle)))
            raise TemplateError(f"Circular dependency between resources: [{members}] ({' → '.join(cycle)})")
        for other in sorted(needs.get(name, ())):
            if other in needs:
                place(other, (*way, name))
        done.add(name)
        placed.append(name)

    for name in needs:
        place(name, ())
    return placed


def _union(values: Iterable[Any], scope: Scope) -> set[str]:
    found: set[str] = set()
    for value in values:
        found |= references(value, scope)
    return found
