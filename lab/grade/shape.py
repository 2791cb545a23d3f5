"""Checks data against a JSON Schema, as far as ours need one, and says in words where it does not fit.

Known are $ref, type, const, enum, pattern, minLength, minimum, maximum, minItems, maxItems, items, required,
properties, additionalProperties, unevaluatedProperties, anyOf; and oneOf where the alternatives differ by their `kind`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from lab.text import Text

Schema = Mapping[str, Any]
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
_NAMES = {
    "object": Text("a table", "一个表"),
    "array": Text("a list", "一个列表"),
    "string": Text("a text in quotes", "带引号的文本"),
    "integer": Text("a whole number", "整数"),
    "number": Text("a number", "数字"),
    "boolean": Text("true or false", "true 或 false"),
}


class Fault(NamedTuple):
    """Where data does not fit, as a path, and what is wrong there."""

    path: str
    text: Text


def faults(value: Any, schema: Schema, root: Schema, path: str = "") -> Iterator[Fault]:
    """Yields what is wrong with a value; `root` is the schema that has the definitions."""
    schema = resolved(schema, root)
    if "oneOf" in schema:
        yield from _of_a_kind(value, schema["oneOf"], root, path)
        return
    if "anyOf" in schema:
        found = [list(faults(value, each, root, path)) for each in schema["anyOf"]]
        if all(found):
            yield from min(found, key=len)
        return
    if "const" in schema and value != schema["const"]:
        yield Fault(path, Text(f"has to be {schema['const']!r}", f"必须是 {schema['const']!r}"))
        return
    if "enum" in schema and value not in schema["enum"]:
        yield Fault(path, _unknown(value, [str(each) for each in schema["enum"]]))
        return
    kinds = schema.get("type", ())
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    if kinds and not any(_is(value, kind) for kind in kinds):
        yield Fault(path, Text(f"has to be {_NAMES[kinds[0]].en}", f"必须是{_NAMES[kinds[0]].zh}"))
        return
    if isinstance(value, str):
        yield from _of_text(value, schema, path)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        least, most = schema.get("minimum", value), schema.get("maximum", value)
        if not least <= value <= most:
            yield Fault(path, Text(f"has to lie between {least} and {most}", f"必须在 {least} 与 {most} 之间"))
    elif isinstance(value, list):
        yield from _of_list(value, schema, root, path)
    elif isinstance(value, dict):
        yield from _of_table(value, schema, root, path)


def resolved(schema: Schema, root: Schema) -> Schema:
    """Returns a schema with what it refers to put in: keys of its own come on top, properties and required join."""
    if "$ref" not in schema:
        return schema
    found: Any = root
    for name in schema["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    base = resolved(found, root)
    joined = {**base, **{key: value for key, value in schema.items() if key != "$ref"}}
    for key in ("properties",):
        if key in base and key in schema:
            joined[key] = {**base[key], **schema[key]}
    if "required" in base and "required" in schema:
        joined["required"] = [*base["required"], *schema["required"]]
    return joined


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _of_text(value: str, schema: Schema, path: str) -> Iterator[Fault]:
    if len(value) < schema.get("minLength", 0):
        yield Fault(path, Text("is empty", "是空的"))
    pattern = schema.get("pattern")
    if pattern and not re.search(pattern, value):
        yield Fault(path, Text(f"{value!r} is not of the form {pattern}", f"{value!r} 不符合格式 {pattern}"))


def _of_list(value: list[Any], schema: Schema, root: Schema, path: str) -> Iterator[Fault]:
    least, most = schema.get("minItems", 0), schema.get("maxItems", len(value))
    if not least <= len(value) <= most:
        count = len(value)
        yield Fault(
            path, Text(f"has {count} entries, not {least} to {most}", f"有 {count} 项，应为 {least} 至 {most} 项")
        )
    for at, each in enumerate(value):
        name = each.get("id") or each.get("code") or at + 1 if isinstance(each, dict) else at + 1
        yield from faults(each, schema.get("items", {}), root, f"{path}[{name}]")


def _of_table(value: dict[str, Any], schema: Schema, root: Schema, path: str) -> Iterator[Fault]:
    known = schema.get("properties", {})
    for key in schema.get("required", ()):
        if key not in value:
            yield Fault(path, Text(f"has no {key}", f"缺少 {key}"))
    others = schema.get("unevaluatedProperties", schema.get("additionalProperties", True))
    for key, inside in value.items():
        under = f"{path}.{key}" if path else key
        if key in known:
            yield from faults(inside, known[key], root, under)
        elif others is False:
            yield Fault(under, _unknown(key, list(known)))
        elif isinstance(others, dict):
            yield from faults(inside, others, root, under)


def _of_a_kind(value: Any, alternatives: list[Schema], root: Schema, path: str) -> Iterator[Fault]:
    if not isinstance(value, dict):
        yield Fault(path, Text("has to be a table", "必须是一个表"))
        return
    by_kind = {each["properties"]["kind"]["const"]: each for each in (resolved(one, root) for one in alternatives)}
    if "kind" not in value:
        yield Fault(path, Text("has no kind", "缺少 kind"))
    elif (of := by_kind.get(value["kind"]) if isinstance(value["kind"], str) else None) is None:
        yield Fault(f"{path}.kind", _unknown(value["kind"], list(by_kind)))
    else:
        yield from faults(value, of, root, path)


def _unknown(value: object, known: list[str]) -> Text:
    said, meant = repr(str(value)), near(str(value), known)
    return Text(f"{said} is not known here: {meant.en}", f"此处没有 {said}：{meant.zh}")


def near(value: str, known: list[str]) -> Text:
    """Returns which of the known names may have been meant, or all there are."""
    found = difflib.get_close_matches(value, known, 3, 0.5)
    if found:
        return Text(f"did you mean {' or '.join(found)}?", f"是不是 {' 或 '.join(found)}？")
    return Text(f"there are {', '.join(known)}", f"可用的有 {'、'.join(known)}")
