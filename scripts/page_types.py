"""Writes the types of a page's data, for editors and for the check of its scripts: from the schema, as TypeScript has
them (lab/page/static/page.d.ts). A test holds the file against this.

    python -m scripts.page_types
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import lab

FILE = Path(lab.__file__).parent / "page" / "static" / "page.d.ts"
_PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
_HEAD = "// Made by scripts/page_types.py from lab/report/page.schema.json: change that.\n"


def types() -> str:
    """Returns the file."""
    schema = lab.schema("page")
    named = {**schema["$defs"], "page": {**schema, "description": schema["title"] + "."}}
    return _HEAD + "".join(f"\n{_declared(name, each)}" for name, each in named.items())


def _declared(name: str, schema: Mapping[str, Any]) -> str:
    said = f"/** {schema['description']} */\n" if "description" in schema else ""
    if "properties" in schema:
        return f"{said}export interface {_name(name)} {{\n{''.join(_properties(schema, '  '))}}}\n"
    return f"{said}export type {_name(name)} = {_type(schema)};\n"


def _properties(schema: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, each in schema["properties"].items():
        if "description" in each:
            yield f"{indent}/** {each['description']} */\n"
        optional = "" if name in schema.get("required", ()) else "?"
        yield f"{indent}{name}{optional}: {_type(each, indent)};\n"


def _type(schema: Mapping[str, Any], indent: str = "") -> str:
    if "$ref" in schema:
        return _name(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " | ".join(_type(each, indent) for each in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        return " | ".join(f'"{each}"' for each in schema.get("enum", [schema.get("const")]))
    kind = schema.get("type")
    if kind == "array":
        return _array(schema, indent)
    if "properties" in schema:
        return f"{{\n{''.join(_properties(schema, indent + '  '))}{indent}}}"
    if kind == "object":
        other = schema.get("additionalProperties")
        return f"Record<string, {_type(other, indent) if other else 'any'}>"
    return _PLAIN.get(kind or "", "any")


def _array(schema: Mapping[str, Any], indent: str) -> str:
    each = _type(schema["items"], indent)
    if "maxItems" in schema and schema["maxItems"] == schema.get("minItems"):
        return f"[{', '.join([each] * schema['maxItems'])}]"
    return f"({each})[]" if " " in each else f"{each}[]"


def _name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))


if __name__ == "__main__":
    FILE.write_text(types(), "utf-8")
