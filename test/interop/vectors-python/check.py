"""Decides the cases of vector files apart from the code that wrote them: check.py FILE…; ends with the count."""

import hashlib
import json
import re
import sys
import unicodedata

import details
import narrowing

SPIFFE_ID = re.compile(r"spiffe://[a-z0-9._-]{1,255}((?:/[A-Za-z0-9._-]+)*)")
ABSENT = object()


def is_spiffe_id(text):
    match = SPIFFE_ID.fullmatch(text)
    return bool(match) and len(text) <= 2048 and not {".", ".."} & set(match.group(1).split("/"))


def read_act(act):
    """The hops of an act claim, the presenter first, or None."""
    chain = []
    while act is not ABSENT:
        if not isinstance(act, dict) or len(chain) == 16 or "cnf" in act or act.get("sub_profile") != "ai_agent":
            return None
        issuer, subject = act.get("iss"), act.get("sub")
        if not isinstance(issuer, str) or not isinstance(subject, str) or not is_spiffe_id(subject):
            return None
        chain.append({"iss": issuer, "sub": subject})
        act = act.get("act", ABSENT)
    return chain


def act_of(chain):
    """The act claim of recorded hops; ABSENT for none."""
    act = ABSENT
    for hop in reversed(chain):
        act = {**hop, "sub_profile": "ai_agent", **({} if act is ABSENT else {"act": act})}
    return act


def is_token_of(recorded, claims):
    expected = {
        "delegation": recorded["delegation"],
        "delegation_root": recorded["root"],
        "sub": recorded["subject"],
        "aud": recorded["audience"],
        "client_id": recorded["chain"][0]["sub"],
        "act": act_of(recorded["chain"]),
        "may_act": recorded.get("may_act", ABSENT),
    }
    said = all(claims.get(name, ABSENT) == value for name, value in expected.items())
    granted = recorded.get("authorization_details", [])
    return said and details.covers(granted, claims.get("authorization_details", []))


def narrowed(function, *given):
    try:
        return {"narrowed": True, "grant": function(*given)}
    except narrowing.Refused as refused:
        return {"narrowed": False, **dict(zip(("dimension", "fault"), refused.args))}


def chain_result(case):
    chain = read_act(case.get("act", ABSENT))
    return {"valid": False} if chain is None else {"valid": True, "chain": chain}


def checksum_of(configuration):
    """Of an agent's configuration; its canonical JSON is put together by hand."""
    names = ["model", "prompt_sha256", "tools_sha256"]
    if not isinstance(configuration, dict) or sorted(configuration) != names:
        return {"valid": False}
    model, *hashes = (configuration[name] for name in names)
    if not all(isinstance(each, str) and re.fullmatch("[0-9a-f]{64}", each) for each in hashes):
        return {"valid": False}
    if not isinstance(model, str) or any(unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp") for sign in model):
        return {"valid": False}
    if not 1 <= len(model.encode("utf-16-le")) // 2 <= 200:
        return {"valid": False}
    text = '{"model":%s,"prompt_sha256":"%s","tools_sha256":"%s"}' % (json.dumps(model, ensure_ascii=False), *hashes)
    return {"valid": True, "checksum": hashlib.sha256(text.encode()).hexdigest()}


CHECKS = {
    "covers": lambda case: {"covered": details.covers(case["parent"], case["child"])},
    "permits": lambda case: {"permitted": details.permits(case["authorization_details"], case["call"])},
    "narrow": lambda case: narrowed(narrowing.narrow, case["parent"], case["request"], case["now_ms"]),
    "narrow-token": lambda case: narrowed(
        narrowing.narrow_to_token, case["leaf"], case["request"], case["now_ms"], case["lifetime_seconds"]
    ),
    "narrow-onward": lambda case: narrowed(
        narrowing.narrow_onward, case["leaf"], case["token"], case["request"], case["now_ms"]
    ),
    "act": chain_result,
    "token-recorded": lambda case: {"accepted": is_token_of(case["recorded"], case["claims"])},
    "act-recorded": lambda case: {"accepted": case.get("presented", ABSENT) == act_of(case["recorded"])},
    "agent-checksum": lambda case: checksum_of(case["configuration"]),
}
RESULTS = {"covered", "permitted", "narrowed", "dimension", "fault", "grant", "valid", "chain", "accepted", "checksum"}


def main(files):
    passed = failed = 0
    for name in files:
        with open(name, encoding="utf-8") as file:
            vectors = json.load(file)
        if vectors["version"] != 1 or not vectors["cases"]:
            raise SystemExit(f"{name}: not vectors of version 1")
        for case in vectors["cases"]:
            expected = {member: value for member, value in case.items() if member in RESULTS}
            result = CHECKS[vectors["check"]](case)
            if details.same_json(result, expected):
                passed += 1
            else:
                failed += 1
                print(f"{name}: {ascii(case['name'])}: {ascii(result)}, not {ascii(expected)}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
