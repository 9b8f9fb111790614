"""Every method, for a workload of a server that is federated with nobody."""

import grpc
from conversation import (
    PATIENCE_SECONDS,
    ask,
    await_change,
    check,
    demand_issued,
    demand_status,
    ids,
    known,
    remember,
    trust_domain,
)
from spiffe import JwtSource, JwtSvid, SpiffeId, X509Source
from spiffe.workloadapi.errors import FetchJwtSvidError, ValidateJwtSvidError


@check("fetch_x509_svid gives an identity of the caller's")
def _(client):
    assert str(client.fetch_x509_svid(timeout=PATIENCE_SECONDS).spiffe_id) in ids


@check("fetch_x509_svids gives every identity")
def _(client):
    svids = client.fetch_x509_svids(timeout=PATIENCE_SECONDS)
    assert sorted(str(svid.spiffe_id) for svid in svids) == ids


@check("fetch_x509_context: each X.509-SVID is issued by an authority of its bundle")
def _(client):
    context = client.fetch_x509_context(timeout=PATIENCE_SECONDS)
    authorities = context.x509_bundle_set.get_bundle_for_trust_domain(trust_domain).x509_authorities
    assert len(context.x509_svids) == len(ids)
    for svid in context.x509_svids:
        demand_issued(svid, authorities)
        remember(svid, authorities)


@check("fetch_x509_bundles gives our own trust domain, and no other")
def _(client):
    bundles = client.fetch_x509_bundles(timeout=PATIENCE_SECONDS).bundles
    assert [bundle.trust_domain.name for bundle in bundles] == [known["trustDomain"]]
    assert all(bundle.x509_authorities for bundle in bundles)


@check("fetch_jwt_bundles gives our own trust domain, and no other")
def _(client):
    bundles = client.fetch_jwt_bundles(timeout=PATIENCE_SECONDS).bundles
    assert [bundle.trust_domain.name for bundle in bundles] == [known["trustDomain"]]
    assert all(bundle.jwt_authorities for bundle in bundles)


@check("fetch_jwt_svid for one audience and for several, judged by parse_and_validate")
def _(client):
    bundle = client.fetch_jwt_bundles(timeout=PATIENCE_SECONDS).get_bundle_for_trust_domain(trust_domain)
    for audience in ({"https://one.example"}, {"https://one.example", "https://two.example", "three"}):
        svid = client.fetch_jwt_svid(audience, timeout=PATIENCE_SECONDS)
        validated = JwtSvid.parse_and_validate(svid.token, bundle, audience)
        assert str(validated.spiffe_id) in ids
        assert set(validated.audience) == audience


@check("fetch_jwt_svid for each SPIFFE ID by its name")
def _(client):
    for spiffe_id in ids:
        svid = client.fetch_jwt_svid({"one"}, subject=SpiffeId(spiffe_id), timeout=PATIENCE_SECONDS)
        assert str(svid.spiffe_id) == spiffe_id


@check("fetch_jwt_svids gives one for every identity")
def _(client):
    svids = client.fetch_jwt_svids({"one"}, timeout=PATIENCE_SECONDS)
    assert sorted(str(svid.spiffe_id) for svid in svids) == ids


@check("validate_jwt_svid takes a token for its audience, and refuses it for another with INVALID_ARGUMENT")
def _(client):
    svid = client.fetch_jwt_svid({"one"}, timeout=PATIENCE_SECONDS)
    validated = client.validate_jwt_svid(svid.token, "one", timeout=PATIENCE_SECONDS)
    assert validated.spiffe_id == svid.spiffe_id
    demand_status(
        grpc.StatusCode.INVALID_ARGUMENT,
        ValidateJwtSvidError,
        lambda: client.validate_jwt_svid(svid.token, "two", timeout=PATIENCE_SECONDS),
    )


@check("fetch_jwt_svid for the SPIFFE ID of another is PERMISSION_DENIED")
def _(client):
    other = SpiffeId(f"spiffe://{trust_domain.name}/somebody/else")
    demand_status(
        grpc.StatusCode.PERMISSION_DENIED,
        FetchJwtSvidError,
        lambda: client.fetch_jwt_svid({"one"}, subject=other, timeout=PATIENCE_SECONDS),
    )


@check("X509Source has an SVID of the new authority once the old one is tainted")
def _(_client):
    with X509Source(timeout_in_seconds=PATIENCE_SECONDS) as source:
        before = source.svid
        ask("taint-x509-authority")
        await_change(source, lambda: source.svid.leaf.issuer != before.leaf.issuer)
        context = source.get_x509_context()
        authorities = context.x509_bundle_set.get_bundle_for_trust_domain(trust_domain).x509_authorities
        demand_issued(context.default_svid, authorities)
        remember(context.default_svid, authorities)


@check("JwtSource has the key that signs after a rotation, and the one before")
def _(_client):
    with JwtSource(timeout_in_seconds=PATIENCE_SECONDS) as source:
        before = source.fetch_svid({"py-before"}, timeout=PATIENCE_SECONDS)
        ask("rotate-jwt-authority")
        after = source.fetch_svid({"py-after"}, timeout=PATIENCE_SECONDS)
        bundle = source.get_bundle_for_trust_domain(trust_domain)
        JwtSvid.parse_and_validate(after.token, bundle, {"py-after"})
        JwtSvid.parse_and_validate(before.token, bundle, {"py-before"})
        assert before.token.split(".")[0] != after.token.split(".")[0], "the same key still signs"
