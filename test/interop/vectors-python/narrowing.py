"""What a child delegation, a token and an onward redemption may have. Written from docs/decisions/0005-narrowing.md."""

import re

import details
import paths

SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,128}")
SESSION = re.compile(r"[A-Za-z0-9._~:-]{1,128}")
AGENT = re.compile(r"agt_[0-7][0-9a-hjkmnp-tv-z]{25}")
UNIT = re.compile(r"tokens|calls|rows|spend:[A-Z]{3}")


class Refused(Exception):
    """Its arguments are the dimension, and the fault where there is one."""


def require(condition, *refusal):
    if not condition:
        raise Refused(*refusal)


def read_scope(scope):
    tokens = sorted(set(scope))
    return tokens if len(tokens) <= 64 and all(map(SCOPE_TOKEN.fullmatch, tokens)) else []


def check_budget(parent, child):
    for budget in (parent, child):
        require(all(map(UNIT.fullmatch, budget)) and all(map(details.is_count, budget.values())), "budget")
    for unit, limit in parent.items():
        require(unit in child and child[unit] <= limit, "budget")
    spendable, asked = ({unit for unit in budget if unit.startswith("spend:")} for budget in (parent, child))
    require(not spendable or asked <= spendable, "budget")


def check_onward(parent, child):
    targets = child["onward"]
    require(len(targets) <= 16, "onward")
    require(not targets or child["max_depth"] > 0, "onward")
    named = set()
    for target in targets:
        agent, resource, scope = target["agent"], target["resource"], target["scope"]
        require(AGENT.fullmatch(agent) and paths.is_audience(resource) and read_scope(scope), "onward")
        require(set(scope) <= set(child["scope"]), "onward")
        pair = (agent, paths.without_root_slash(resource))
        require(pair not in named, "onward")
        named.add(pair)
        covered = parent == "any" or any(
            one["agent"] == agent and paths.same_audience(one["resource"], resource) and set(scope) <= set(one["scope"])
            for one in parent
        )
        require(covered, "onward")


def within(parent, request, now_ms):
    inherited = parent.get("authorization_details", [])
    child = {
        "resource": parent["resource"],
        "scope": read_scope(request["scope"]),
        "authorization_details": request.get("authorization_details", inherited),
        "expires_at_ms": request["expires_at_ms"],
        "max_depth": request["max_depth"],
        "budget": request.get("budget", {}),
        "onward": request.get("onward", []),
    }
    session, bound = request.get("session", parent.get("session")), parent.get("session")
    if session is not None:
        child["session"] = session
    require(paths.same_audience(parent["resource"], request["resource"]), "resource")
    require(child["scope"] and set(child["scope"]) <= set(parent["scope"]), "scope")
    if "authorization_details" in request:
        require(details.is_readable(child["authorization_details"]), "authorization_details", "unreadable")
    require(details.covers(inherited, child["authorization_details"]), "authorization_details")
    check_budget(parent.get("budget", {}), child["budget"])
    check_onward(parent.get("onward", []), child)
    require(session is None or SESSION.fullmatch(session), "session")
    require(bound is None or session == bound, "session")
    ends, over = child["expires_at_ms"], parent["expires_at_ms"]
    require(details.is_count(ends) and details.is_count(over) and now_ms < ends <= over, "expiry")
    return child


def narrow(parent, request, now_ms):
    left = parent["max_depth"] - 1
    depth = request.get("max_depth", left)
    require(details.is_count(left) and details.is_count(depth) and depth <= left, "depth")
    ends = request.get("expires_at_ms", min(now_ms + 3_600_000, parent["expires_at_ms"]))
    return within(parent, {**request, "max_depth": depth, "expires_at_ms": ends}, now_ms)


def narrow_to_token(leaf, request, now_ms, lifetime_seconds):
    asked = {
        "resource": leaf["resource"],
        "scope": leaf["scope"],
        "budget": leaf.get("budget", {}),
        **request,
        "max_depth": 0,
        "expires_at_ms": min(now_ms + lifetime_seconds * 1000, leaf["expires_at_ms"]),
    }
    return within(leaf, asked, now_ms)


def narrow_onward(leaf, token, request, now_ms):
    listed = [target for target in leaf.get("onward", []) if target["agent"] == request["client"]]
    require(listed, "onward")
    if "resource" in request:
        listed = [target for target in listed if paths.same_audience(target["resource"], request["resource"])]
    require(len(listed) == 1, "resource")
    target = listed[0]
    carried = token.get("authorization_details", [])
    require(details.covers(leaf.get("authorization_details", []), carried), "authorization_details")
    common = [token_ for token_ in leaf["scope"] if token_ in token["scope"] and token_ in target["scope"]]
    bound = {
        **leaf,
        "resource": target["resource"],
        "scope": common,
        "authorization_details": carried,
        "expires_at_ms": min(leaf["expires_at_ms"], token["expires_at_ms"]),
        "onward": [],
    }
    return narrow(bound, {"scope": common, **request, "resource": target["resource"]}, now_ms)
