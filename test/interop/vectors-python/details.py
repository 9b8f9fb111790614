"""RFC 9396 authorization_details of type tool_call: covers() and permits(). Written from docs/decisions/0005-narrowing.md."""

import json
import math
import re
from decimal import Decimal

import paths

SAFE = 2**53 - 1
SERVER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
TOOL_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,127}")
ARGUMENT_NAME = re.compile(r"[A-Za-z0-9_$.-]{1,128}")


class Refused(Exception):
    pass


def require(condition, reason):
    if not condition:
        raise Refused(reason)


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_exact_number(value):
    return is_number(value) and (isinstance(value, int) or math.isfinite(value)) and abs(value) <= SAFE


def is_count(value):
    return is_exact_number(value) and value >= 0 and value == int(value)


def same_json(one, other):
    if isinstance(one, bool) or isinstance(other, bool) or one is None or other is None:
        return one is other
    if is_number(one) and is_number(other):
        return one == other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(one[name], other[name]) for name in one)
    return isinstance(one, str) and isinstance(other, str) and one == other


def canonical(value):
    """RFC 8785, of values that check_json has let through."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(f"{canonical(name)}:{canonical(value[name])}" for name in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if is_number(value):
        if value == int(value):
            return str(int(value))
        text = repr(value)
        if "e" in text and abs(value) >= 1e-6:
            return format(Decimal(text), "f")
        return re.sub(r"e-0", "e-", text)
    return json.dumps(value, ensure_ascii=False)


def check_json(value, depth):
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        require(paths.is_well_formed(value) and "\0" not in value, "text")
    elif is_number(value):
        require(is_exact_number(value), "number")
    else:
        require(depth > 0, "depth")
        if isinstance(value, dict):
            require("__proto__" not in value, "__proto__")
        for part in value.values() if isinstance(value, dict) else value:
            check_json(part, depth - 1)
        for name in value if isinstance(value, dict) else ():
            check_json(name, 0)


def count_values(value):
    if isinstance(value, dict):
        return 1 + sum(count_values(part) for part in value.values())
    if isinstance(value, list):
        return 1 + sum(count_values(part) for part in value)
    return 1


def read(details):
    require(isinstance(details, list) and len(details) <= 64, "no list")
    check_json(details, 8)
    require(count_values(details) <= 1024, "too many values")
    require(len(canonical(details).encode()) <= 8192, "too large")
    return [read_object(one) for one in details]


def read_object(one):
    require(isinstance(one, dict) and one.get("type") == "tool_call", "type")
    require(set(one) <= {"type", "server", "tools", "arguments"}, "unknown member")
    server, tools = one.get("server"), one.get("tools")
    require(isinstance(server, str), "server")
    require(SERVER_NAME.fullmatch(server) or paths.is_audience(server), "server")
    require(isinstance(tools, list) and 1 <= len(tools) <= 64, "tools")
    require(all(isinstance(tool, str) and TOOL_NAME.fullmatch(tool) for tool in tools), "tools")
    require(len(set(tools)) == len(tools), "tools")
    return {"server": server, "tools": tools, "arguments": read_arguments(one) if "arguments" in one else None}


def read_arguments(one):
    named = one["arguments"]
    require(isinstance(named, dict) and len(named) <= 32, "arguments")
    return {name: read_rule(name, rule) for name, rule in named.items()}


def read_rule(name, rule):
    require(ARGUMENT_NAME.fullmatch(name), "argument name")
    require(isinstance(rule, dict), "rule")
    optional = rule.get("optional", False)
    require(isinstance(optional, bool), "optional")
    kinds = [kind for kind in rule if kind != "optional"]
    require(len(kinds) == 1, "one constraint")
    return read_constraint(kinds[0], rule[kinds[0]]), optional


def read_constraint(kind, value):
    if kind == "exact":
        return "values", [value]
    if kind == "one_of":
        require(isinstance(value, list) and 1 <= len(value) <= 64, "one_of")
        return "values", value
    if kind == "range":
        require(isinstance(value, dict) and value and set(value) <= {"min", "max"}, "range")
        require(all(map(is_exact_number, value.values())), "range")
        low, high = value.get("min", -math.inf), value.get("max", math.inf)
        require(low <= high, "empty range")
        return "range", (low, high)
    if kind == "length":
        require(isinstance(value, dict) and set(value) == {"max"} and is_count(value["max"]), "length")
        return "length", value["max"]
    readers = {"prefix": paths.parse_path, "glob": paths.parse_glob, "cidr": paths.parse_network}
    require(kind in readers and isinstance(value, str), "constraint")
    read_value = readers[kind](value)
    require(read_value is not None, kind)
    return kind, read_value


def satisfies(value, constraint):
    kind, allowed = constraint
    if kind == "values":
        return any(same_json(one, value) for one in allowed)
    if kind == "range":
        return is_exact_number(value) and allowed[0] <= value <= allowed[1]
    if not isinstance(value, str):
        return False
    if kind == "length":
        return paths.is_well_formed(value) and len(value) <= allowed
    if kind == "cidr":
        address = paths.parse_address(value)
        return address is not None and address.version == allowed.version and address in allowed
    path = paths.parse_path(value)
    return path is not None and path_is_within(path, constraint)


def path_is_within(path, constraint):
    kind, allowed = constraint
    return paths.lies_under(path, allowed) if kind == "prefix" else paths.glob_lets_through(allowed, path)


def is_within(child, parent):
    kind, asked = child
    if kind == "values":
        return all(satisfies(value, parent) for value in asked)
    parent_kind, allowed = parent
    if kind in ("prefix", "glob") and parent_kind in ("prefix", "glob"):
        closed = parent_kind == "glob" and allowed[1][-1:] != ["**"]
        return not (kind == "prefix" and closed) and path_is_within(asked, parent)
    if kind != parent_kind:
        return False
    if kind == "range":
        return allowed[0] <= asked[0] and asked[1] <= allowed[1]
    if kind == "length":
        return asked <= allowed
    return asked.version == allowed.version and asked.subnet_of(allowed)


def object_covers(parent, child):
    if not paths.same_audience(parent["server"], child["server"]) or not set(child["tools"]) <= set(parent["tools"]):
        return False
    allowed, asked = parent["arguments"], child["arguments"]
    if allowed is None:
        return True
    if asked is None:
        return False
    for name, (constraint, optional) in asked.items():
        if name not in allowed or (optional and not allowed[name][1]) or not is_within(constraint, allowed[name][0]):
            return False
    return all(optional or name in asked for name, (_, optional) in allowed.items())


def object_permits(one, call):
    if not paths.same_audience(one["server"], call["server"]) or call["tool"] not in one["tools"]:
        return False
    given = call.get("arguments", {})
    if not isinstance(given, dict):
        return False
    rules = one["arguments"]
    if rules is None:
        return True
    if not all(name in rules and satisfies(value, rules[name][0]) for name, value in given.items()):
        return False
    return all(optional or name in given for name, (_, optional) in rules.items())


def is_readable(asked):
    try:
        read(asked)
    except Refused:
        return False
    return True


def covers(parent, child):
    try:
        allowed, asked = read(parent), read(child)
    except Refused:
        return False
    if not allowed:
        return True
    return bool(asked) and all(any(object_covers(one, detail) for one in allowed) for detail in asked)


def permits(details, call):
    try:
        allowed = read(details)
    except Refused:
        return False
    return not allowed or any(object_permits(one, call) for one in allowed)
