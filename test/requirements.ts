/**
 * What the product promises, each with an id that the tests which show it cite in their names: `[DEL-001] …`.
 * test/unit/requirements.test.ts fails on a requirement that no test cites, and on a citation of none.
 */
export const requirements = {
  "MOD-001": "An identifier has one spelling: whatever is not that spelling is refused, never mended",
  "MOD-002": "An audience is canonical or refused; no two spellings name one Resource but for the root slash",
  "MOD-003":
    "Canonical JSON is RFC 8785: equal values have equal bytes, and what has no canonical form is refused",
  "MOD-004": "An act claim and the chain it spells say the same; a malformed or endless one spells none",
  "MOD-005": "A scope is a set of RFC 6749 tokens, compared octet by octet",

  "DEL-001": "A child never outlives its parent",
  "DEL-002": "A child is never wider than its parent in any dimension, over any number of hops",
  "DEL-003": "What can't be compared with the parent's is refused",
  "DEL-004":
    "Only the grantee of a delegation narrows or redeems it; to anyone else it is as if it did not exist",
  "DEL-005": "Who revokes a delegation ends everything below it, at any depth, at once",
  "DEL-006": "A delegation counts only while every agent on its path and every owner is active",
  "DEL-007": "A chain that the database does not hold as one consistent path is no chain",
  "DEL-008": "An operator asserts root grants for a User, recorded as asserted by the operator",
  "DEL-009": "A User grants only what policy allows: on Resources they own or that are open",
  "DEL-010": "A depth counts further hops; without one left nothing can be delegated on",
  "DEL-011":
    "A delegation that rests holds again only by the consent of who gave it, while policy allows it and all above it is live",

  "NAR-001":
    "If one list of authorization_details covers another, every call that the other permits it permits",
  "NAR-002": "An unknown type, member or constraint of authorization_details is refused, whole list and all",
  "NAR-003":
    "A path, glob or address has one spelling; what some reader takes for another is refused, never mended",
  "NAR-004": "A budget's share is said explicitly and is within the parent's, unit by unit",
  "NAR-005":
    "Onward targets are within the delegation's scope and its parent's list; redeeming is within leaf, token and target",
  "NAR-006": "A session, once a delegation is bound to it, stays",
  "NAR-007": "An act claim that is presented says exactly the recorded path, hop by hop",
  "NAR-008":
    "The published vectors are what the code decides, and an implementation of others can decide them",

  "BUD-001": "A delegation's budget admits as many tokens as it says, whoever asks at once and wherever",
  "BUD-002": "Allowance moves from parent to child, is never more than there was, and returns unused",
  "BUD-003": "A limit that nothing counts is refused, never recorded as if it were kept",
  "BUD-004":
    "A delegation's budget admits as many authorized calls as it says, whoever asks at once and wherever",
  "BUD-020":
    "Policy decides an action by the sum, the rows, the provenance and the sensitivity that its agent tells, exactly, and by what its agent can't tell; all of it is sealed with the decision",
  "BUD-021":
    "What an agent says nothing of, or says in its own way, lets nothing through that a policy denies to what came from outside",
  "BUD-022":
    "What an action may cost, in money or rows, is reserved with its yes where its delegation limits it, never more than is left, and counted once as what it did cost",
  "BUD-023":
    "What an action cost beyond what was reserved is told, recorded, and spent as far as there is any left; of two accounts the more counts",
  "BUD-025":
    "What a policy line lets a subject do so often only, it does no oftener, whoever asks at once and wherever, and is told when to ask again",
  "BUD-024":
    "What was reserved for an action that nobody reports is released once, after a while, with its entry",

  "ACT-001":
    "An action is authorized only after its entry is committed; its arguments are sealed, never in an entry",
  "ACT-002":
    "No action beyond the token's scope, its authorization_details or the policy is authorized, and each no has its entry",
  "ACT-003": "Only the holder of a bound token's key authorizes under it, and nothing under one that is dead",
  "ACT-004": "Whoever can't be told that its action is recorded is told no",
  "ACT-005": "What an agent claims is recorded with the hash of what it signed, which is kept",
  "ACT-006":
    "What a Resource witnesses is told apart from a claim, and no other Resource witnesses in its place",
  "ACT-007":
    "A report is held against what was granted, and what was not granted is recorded as such, never dropped",
  "ACT-008":
    "A report sent again is recorded once; a second account of one action by one reporter is refused",
  "ACT-009": "What is granted, claimed, witnessed and unaccounted adds up, and agents see their own only",
  "ACT-010":
    "A report counts only with its sender's signature, of its own action or at its own Resource; nothing of it is free text",

  "TOK-001":
    "A token is returned only after its entry is committed, and the entry holds the hash of its claims",
  "TOK-002":
    "The act claim is the recorded path, the presenter outermost; it is absent where nothing was delegated",
  "TOK-003": "No token is issued after a revocation that was committed before it",
  "TOK-004": "A token is never wider than its delegation in scope, resource or lifetime",
  "TOK-005": "Introspection answers only the audience Resource and the token's own client",
  "TOK-006": "A token is inactive at once when it, or any hop it rests on, is revoked, suspended or retired",
  "TOK-007": "A client revokes only its own tokens",
  "TOK-008": "A client asks for itself only what policy allows it directly",
  "TOK-010": "A token carries the authorization_details of its delegation, narrowed along the chain",
  "TOK-009": "A stale cache never lets a token through and never refuses for good",

  "RAR-001":
    "What a token request asks for by authorization_details is within the delegation's and the subject token's, or nothing is issued",
  "RAR-002":
    "What was granted is what token, record, answer and introspection say alike, and what an action is held against",

  "ONW-001":
    "An access token is redeemed by an agent that its delegation lists onward, and by nobody else, its audience included",
  "ONW-002":
    "What is redeemed is within delegation, token and target together, is over when the token is, and goes no further",
  "ONW-003":
    "One token redeemed by one agent for one resource is one recorded delegation, however often and wherever at once",
  "ONW-004":
    "A token that is not ours, not delegated, not live or of another organization is told all the same, and redeems nothing",
  "ONW-005": "Who takes back a token, or anything it rests on, takes back at once what was redeemed with it",
  "ONW-006":
    "A delegation on another resource than its parent's is one only if its parent lists it and a token was redeemed for it",
  "ONW-007": "Nobody lists an agent onward for what policy does not let them hand out themselves",
  "ONW-008": "An actor token is a live one of the authenticated client's own, or nothing is issued",
  "ONW-009":
    "A token's may_act is the one agent that its delegation lists onward, and absent where there are more",
  "ONW-010":
    "A redemption takes one token from a budget, as an issuance does, and is refused where none is left",

  "SES-001": "No two sessions' delegations are used in one transaction, whoever asks at once and wherever",
  "SES-002": "A delegation bound to a session binds all below it, and the record says to which",
  "SES-003": "A transaction is joined for a day at the most, and its session is remembered for as long",

  "LED-001":
    "Every allow, deny and refusal about an authenticated principal has its entry before it is answered",
  "LED-002": "Decision inputs are kept sealed beside the log by the salted hash that the entry bears",
  "LED-003": "Repeats of one refusal become one counted entry per interval",
  "LED-004": "An entry that was changed, removed, added or moved no longer verifies, and nothing proves it",
  "LED-005": "What nobody else's key or checkpoint vouches for is called self-asserted",
  "LED-006": "An entry holds ids, never a name, an address or a token",

  "REV-001":
    "A revocation is answered with a signed receipt of all it reached; made again it says the same, whatever came since",
  "REV-002": "A list with an item left out, added, changed or moved is not the one that a receipt speaks of",
  "REV-003":
    "A receipt is no access token and an access token no receipt; what signs receipts signs nothing else",
  "REV-004": "Who is about to revoke is shown what would end with it; a script is never asked",
  "REV-005":
    "A follower is told of each revocation that a checkpoint covers, in order and without a gap, wherever it resumes",
  "REV-006":
    "A stream ends with its token, its caller's authority or the server, and no reader takes more memory or places than its due",
  "REV-007":
    "What is reported after a revocation of actions under what it reached is its supplement, as far as it can be proven",

  "NCM-001":
    "In a transaction with an exclusive delegation nobody else's authority is used, before it or after, and the ledger tells",
  "NCM-002": "What is below an exclusive delegation, or redeemed of it, is exclusive too",
  "NCM-003":
    "Of two people's authority that race into one transaction, one is used where either is exclusive",
  "RES-001": "A resource server sees to the obligations of an allowance before the request passes",
  "RES-002":
    "An obligation that is not understood is not met, and what is refused is neither counted nor told of",
  "RES-003": "What is counted in memory is bounded, and what there is no room for is refused",

  "POL-001": "No text of a request or a rule is taken for a wildcard, another field or another line",
  "POL-002":
    "A condition on an attribute is true, false, or can't be told: of what is missing, of another kind, or spelled as no policy can",
  "POL-003":
    "What can't be told of an attribute never allows, and never keeps a line from denying or obliging",
  "POL-004": "What the policy says of an entity outweighs what a request says of it",
  "POL-005":
    "What is allowed comes with the obligations of every line that matches, and an obligation allows nothing",
  "AZN-001": "AuthZEN Basic Core: an evaluation is answered as the certification scenario wants",
  "AZN-002": "AuthZEN Basic Properties: what an asker says of things counts",
  "AZN-003":
    "AuthZEN Batch Core: evaluations are answered each, in order, with what they leave out taken from beside them",
  "AZN-004": "AuthZEN Batch Properties: what is said of things counts for each evaluation of a batch",
  "AZN-005":
    "AuthZEN Search Core: searches find for whom, to what and what a question would be answered with yes",
  "AZN-006": "AuthZEN Search Properties: what an asker says of things counts in a search",
  "AZN-007": "AuthZEN Discovery: the decision point and its endpoints are named to everybody",
  "AZN-008":
    "Of an agent a resource hears what it gets now: by a live delegation that it holds there with something left, or by policy",
  "AZN-009":
    "Nobody hears of another organization's agents, users and resources; a resource of no other resource",
  "AZN-010": "Only who was given the scope for it asks about others, and an agent not even then",
  "AZN-011":
    "What the server and the policy know outweighs what an asker says, and no spelling gets around it",
  "AZN-012":
    "Questions are bounded in number, size and depth, and a page's token is good for its own search and asker only",
  "AZN-013": "A name that is not in its only spelling, or that would be a role's, is refused",
  "AZN-014": "A question records nothing, and spends nothing",
  "POL-006":
    "A policy that an operator signed comes into force in every process, as the next version, and each version can be had again",
  "POL-007":
    "A policy that is unfit, locks its applicant out, is another organization's, or was not signed to follow the one in force, changes nothing",
  "POL-020": "While a policy of any length is loaded, decisions are made by the one in force",
  "POL-021": "A version that was recorded decides as the one that was written, and what is cut short is none",
  "POL-022":
    "An identifier that a policy or a request holds is in its one spelling or refused; no line grants what only looks like it",
  "POL-030":
    "Every recorded decision is made again by its own policy and from its own input, online and from an export, and the first that differs is named; an erased input is told as erased",
  "POL-031":
    "Of a decision, a policy or an input that is another than recorded, none is taken for one that agrees",
  "POL-032":
    "The obligations of what is allowed stand in its entry and in the answer; what would come with more than can be told is denied",
  "POL-033":
    "Of every decision is told the rule, the delegation that granted and what narrowed it, what stands against it and what would be said without that",
  "POL-034":
    "The nearest changes by which policy would allow it are told, at most three, and each keeps its promise or names the denial behind it",
  "POL-035": "What is explained is of the asker's own organization only, its policy's lines too",

  "POL-050":
    "Which of the last decisions would be others under a policy is told before it comes into force, from what each was made of, and nothing is changed by asking",
  "POL-051":
    "The example of a policy shows every shape of a line, and each line decides a case or obliges in one; cases may name obligations",
  "POL-052":
    "A policy that is marked two-person is followed only by what one operator proposed and another, who was one before, approved by a signature of its own",

  "FLT-001":
    "Whatever process is killed at whatever moment, no acknowledged entry is lost, and the log has no gap and no fork",
  "FLT-002": "No token is handed out without its entry, at the index that its response names",
  "FLT-003":
    "While the database is gone or hangs, requests are answered 503 with Retry-After, and nothing is issued",
  "FLT-004": "When the database is back the server goes on by itself",
  "FLT-005":
    "On a database set back in time nothing is issued until an operator accepts the loss, and the fork stays provable",
  "FLT-006": "A server asked to end answers what it accepted, and leaves nothing running or locked",
  "FLT-007": "A start that cannot succeed says why in one line, and disturbs no server that runs",
  "FLT-008": "A poisonous request fails its own caller only",
  "FLT-009": "Malformed, oversized and trickling requests are refused or cut, and the server stays ready",
  "FLT-010": "A server is unready when entries wait for their checkpoint, and not merely because it is busy",
  "FLT-020":
    "Evidence that is good once is used up by the commit of what it was good for: where that fails it is as good as before",

  "KEY-001": "A token key is published before it signs, and for as long as what it signed can be presented",
  "KEY-002": "A rotation is one commit with its entry; of concurrent ones exactly one is made",
  "KEY-003": "Private keys can be read neither from the database alone nor from what is logged or answered",
  "KEY-004": "A lost or wrong key-encryption key stops the start; no new key takes its place unseen",
  "KEY-005": "A log's key signs for that log only; in a rotation the old and the new one both sign",
  "KEY-006":
    "No other user of the machine reads, replaces or plants what a server keeps in its files: keys, passwords, data",
  "RPL-001":
    "A one-time value is accepted once in all processes together, and not at all while nobody can say",

  "VER-001":
    "What another key, algorithm, type, issuer or audience signed or was signed for is worth nothing",
  "VER-002": "A stolen token is worth nothing without a fresh proof by its key, for this very request",
  "VER-003": "Who probes for clients or tokens gets the same answer whether they are there or not",

  "LOG-001": "Each refused request is one log line with its id, each token handed out one at level debug",
  "LOG-002": "No log line at any level holds a token, an assertion, a proof or a private key",
  "LOG-003": "Whatever callers write is within one line of the log, and steers no terminal that shows it",

  "ISS-001":
    "A nonce is handed out with each proof, by one secret in all processes; a forged or an old one is refused",
  "ISS-002":
    "An operator's token is bound to its own key, by a proof with a nonce; clients that it named need a nonce too",
  "ISS-003":
    "An introspection's JWT is for its asker alone and no access token; what no journey recorded is not signed as one",
  "ISS-004":
    "A certificate counts by the handshake, or by a trusted proxy's word; it authenticates whose key it has, and binds",
  "ISS-005": "A pushed request is used once, within a minute, by the client that pushed it",
  "ISS-006":
    "A client gets what an operator set for it, recorded; compat opens nothing to another client, and its secret is kept nowhere",
  "ISS-007": "A renewed certificate is shown without a restart; a bad one changes nothing",

  "API-001": "The published description of the API is what the server does: one source for both",
  "API-002": "A request that bears an idempotency key is done once, however often and wherever it is sent",
  "API-003": "An idempotency key tells nobody but the principal who sent it, and stands for one request only",
  "API-004": "What a change was said to start from is held against the thing, up to its commit",
  "API-005":
    "A cursor that no page of the list gave is refused; no list is cut without saying where it goes on",

  "ORG-001": "Nothing of one organization can be read or used from another",
  "AGT-001": "One public key speaks for one principal, and no private key is ever taken in",
  "AGT-002": "Retirement is final; suspension is not",
  "AGT-003":
    "A transfer gives an agent to another active owner, in one entry with both; what it is given later holds under that one",
  "AGT-004":
    "From a transfer on, everything delegated to the agent rests, with all below it, and what was issued to it before is dead",
  "AGT-005": "An id, and the key that spoke for it, is never given to anyone else",
  "AGT-006":
    "An agent whose time is over counts as inactive at once, and is retired with an entry of its own",
  "AGT-007": "An agent may have no key at all: it proves by attestation who it is",
  "USR-001":
    "When a user is offboarded, everything that rests on them is dead at once and for good, and nothing else is",
  "USR-002": "Offboarding is one entry, and its receipt counts the delegations and agents that it reached",
  "REG-001":
    "The registry tells of each agent what its status comes to and why, and filters by just that, page by page",
  "REG-002":
    "What an agent may do is told as the token endpoint would decide it, with chain, budget and rule, and nothing more",
  "REG-003":
    "What an agent did is told from the ledger, newest first, each entry once, at a cost that does not grow with the log",
  "SPF-001":
    "An SVID is accepted when an authority of its own trust domain signed it, through intermediates too",
  "SPF-002": "An authority of one trust domain speaks for no ID of another, though both are trusted",
  "SPF-003":
    "An X.509-SVID is a leaf that names exactly one SPIFFE ID with a path, for signatures at both ends of TLS",
  "SPF-004": "A chain holds in each of its links: time, signature, authority, length, limits",
  "SPF-005": "Nothing that is not DER is read as a certificate, and reading never fails in another way",
  "SPF-006":
    "A JWT-SVID is what the specification allows and no more, verified by its own trust domain's keys alone",
  "SPF-007": "An access token is no JWT-SVID, and the other way round",
  "SPF-008": "A trust bundle is read back as it was published, over what is not known in it",
  "SPF-009": "A SPIFFE ID has one spelling, and nothing else is one",
  "SPF-101":
    "The authorities are made once, recorded before they are certified, and certified whoever is killed between",
  "SPF-102":
    "An authority's certificate satisfies a strict verifier and names the trust domain alone, or never leaves",
  "SPF-103":
    "One authority signs at each moment, known to verifiers for long before, and with hours of its life left",
  "SPF-104": "A tainted authority signs nothing more from that commit on; a withdrawn one is trusted no more",
  "SPF-105":
    "Authorities may rest on one that the operator supplies, never outlive it, and never rest on what is none",
  "SPF-130":
    "Below an operator's CA our own authorities speak for the trust domain, and nobody else below it does",
  "SPF-131": "An authority that is withdrawn is believed by nobody any more, below an operator's CA too",
  "SPF-201":
    "An agent without any key gets a token for its JWT-SVID, bound to the key that it proves to hold",
  "SPF-202":
    "A JWT-SVID is good again for who holds the key it was first presented under, and for nobody else",
  "SPF-203":
    "An SVID authenticates its own agent, at the issuer that it is meant for, and nobody else anywhere else",
  "SPF-204": "An X.509-SVID authenticates its agent in the handshake, and the token is bound to it",
  "FED-001":
    "Workloads of two trust domains that federate with each other verify each other, through their own sockets",
  "FED-002": "A federation and each other bundle of it is recorded, and nothing where nothing changed",
  "FED-003":
    "The bundle endpoint is authenticated by an SVID of the server itself, which is recorded as any other",
  "FED-004": "What is withdrawn abroad verifies nothing here after the next fetch, on open streams too",
  "FED-005": "A foreign SVID is no client of the token endpoint, whoever federates with it",
  "FED-006":
    "A foreign bundle is for those entries that name its trust domain, as long as it is federated with",
  "FED-007": "What does not fit together is not federated with, nor is our own trust domain",
  "FED-008":
    "Of an endpoint nothing older, broken or huge is taken, no redirect is followed, and no house looked into",
  "FED-009":
    "What is known of a trust domain outlives its endpoint until its authorities end, and doctor tells",
  "FED-010":
    "Only who proves to be the endpoint's very SPIFFE ID, by what is known of its trust domain, is asked",
  "FED-011": "An operator federates, looks and ends it by the command line",
  "FED-012": "Bundles are fetched as their publishers hint, within bounds, and failures are tried ever later",
  "FED-040":
    "Nothing of a foreign trust domain is believed that could not be fetched again for as long as was set",
  "FED-041":
    "Nobody sets the sequence of a foreign bundle so high that its publisher's own never counts again",
  "FED-050":
    "A node that is kept from its server believes a foreign bundle no longer than its server would have",
  "FED-020":
    "The workloads of a node have the foreign bundles that its entries federate with, and each change of them at once",
  "FED-013": "A foreign authority verifies no ID of ours, whatever its certificate and its bundle say",
  "ENT-001": "A workload is given what every entry says whose selectors are all true of it, and nothing else",
  "ENT-002": "Finding a workload's entries costs what its selectors are, however many entries there are",
  "ENT-003": "An entry is made once, tells whose it is, and is deleted for good",
  "ENT-004": "An entry that could never match, or lasts too long, is refused when it is made",
  "TRU-001":
    "An assertion counts only as a trusted issuer signed it, for us alone, for this tenant, now; nobody else learns who is trusted",
  "TRU-002": "An assertion is a grant once, and whatever else it is good for is for the key that came first",
  "TRU-003":
    "A subject becomes one agent, however many ask at once, with an owner and no authority that nobody gave it",
  "TRU-004": "Who is distrusted, unmapped or suspended gets nothing from that commit on",
  "TRU-005": "A token of an issuer that serves many is one organization's, by a claim that can't be renamed",
  "TRU-006": "Keys are fetched within bounds, from public addresses, without redirects, and seldom",
  "TRU-007": "A workload redeems a delegation with nothing but its platform's token, which the ledger says",
  "TRU-040":
    "An agent that a rule made needs what the rule demands in every assertion, and ends with the rule",
  "TRU-041":
    "An assertion that names a key is good for who proves that key alone; one bound in another way for nobody",
  "TRU-030":
    "An audience names the organization that asks for it: who names another's tenant first gains nothing",
  "TRU-031":
    "An organization's trusts in one issuer for one audience never overlap, even when they are made at once",
  "TRU-032": "What a platform signs of an agent's configuration has to be what its owner approved",
  "TRU-033": "A trust makes no more agents than it was given, however many subjects come at once",
  "TRU-034":
    "An identity assertion is accepted only as its provider made it for this client and this server, and once",
  "TRU-035": "A person's assertion, a workload's and a client's never pass for one another",
  "TRU-036":
    "An identity assertion is no authority: it is redeemed under a live delegation of that user, within both",
  "TRU-037": "A subject of an identity provider is a user by an explicit mapping, or nobody",
  "SVI-001":
    "What was issued is given out again until half of its life is over, and no longer once what it rests on has changed",
  "SVI-002": "While nothing can be issued, what is held is given out until it ends, and not beyond",
  "SVI-003":
    "A workload with an entry gets SVIDs that are recorded, verify by the published bundle, and whose key it holds",
  "SVI-004": "An agent without any secret gets from the Workload API to a redeemed delegation",
  "SVI-005": "Whoever loses agent, entry or authority loses their SVIDs at once, on open streams too",
  "SVI-006":
    "An SVID is recorded by the hash of what is signed before it is signed, and verified before it is given out",
  "SVI-007":
    "No SVID is signed for who, or by what, ended after it was read: the refusal is recorded instead",
  "SVI-008": "No SVID outlives its agent or its authority",
  "SVI-020":
    "What an SVID buys rests on what it rests on: entry, node and configuration, looked at again in the commit that issues",
  "SVI-021": "An SVID that was signed by an authority of ours and stands in no record buys nothing, loudly",
  "SVI-022":
    "An assertion makes an agent only in the token journey, after its sender's proof of possession was verified and used up",
  "SVI-040":
    "No SVID of a workload is revived: its node's eviction, readmission or joining anew ends what it buys",
  "SVI-041": "Nor does an agent that goes on after a stop, or with another owner, revive an SVID from before",
  "SVI-030":
    "SVIDs that are issued together are one entry of bounded size, which tells of each and is found by each agent",
  "SVI-031": "Of what is issued together, one that is refused keeps nobody else from theirs",
  "SVI-032":
    "An SVID whose authority was tainted meanwhile is issued by the next one; nothing else that is refused is tried again",
  "SVI-033": "No SVID is issued by the word of who is not the parent of its entry when it is committed",
  "SVI-034":
    "A JWT-SVID for our own token endpoint is given to one caller only: nobody's first use of theirs locks out another",
  "SVI-035":
    "Who asks for ever new JWT-SVIDs gets a bounded number of them, and delays no other user or entry",
  "SVI-036":
    "What is asked for while its like is under way is done together next; what is not its like waits for nothing",
  "SVI-050":
    "Of an entry no more JWT-SVIDs are newly signed in any day than it is told, whoever asks; that they were is told to operators",
  "SVI-060":
    "A process of the account that a server or a node runs as gets nothing, whatever its entries say",
  "WLA-001":
    "A workload gets all that is its own at once, and all of it again whenever that is different, and only then",
  "WLA-002":
    "Who calls is who the kernel says connected; a process out of its sight, or a later one under the same pid, gets nothing",
  "WLA-003":
    "A call without the security header, or with what can't be read, is refused before anybody is attested",
  "WLA-004": "Who has no identity, or loses the last one, is denied",
  "WLA-005": "A failure is told by its kind and nothing of its inside, and no key and no token is logged",
  "WLA-006":
    "Calls that end, break or are abandoned leave nothing behind, and no caller takes more than its share",
  "WLA-007":
    "A live server's socket is never taken and a dead one's is replaced; closing ends each stream and removes it",
  "WLA-008": "A JWT-SVID is validated by the bundles of who asks, and by no other",
  "WLA-009":
    "Envoy gets by name what the workload gets, until it changes, and each trust domain by its own authorities",
  "WLA-010": "Every user of the machine reaches the socket, and nothing else of the data directory",
  "WLA-040":
    "Where the kernel has no handle on who connected, only a process that had its pid before anybody could have connected is believed",
  "WLA-041":
    "Places are kept for users who have few, of connections as of streams, and no more are given than descriptors allow",
  "WLA-042": "A stream that asks for nothing does not stay",
  "WLA-050": "A connection that does not begin to speak gives its place back within seconds",
  "WLA-052":
    "What is refused below calls has its own status or its end, nobody attested and nothing issued, and is counted nowhere",
  "WLA-051":
    "Processes of one user in several containers have places and readings of their own, where the kubelet's groups tell them apart",
  "WLA-043": "A thousand workloads that connect at once are all served",
  "WLA-044":
    "What the Workload API refuses is told by the specification's status, issues nothing, and is one entry with its like",
  "ENT-060": "A process of another user or group than when it connected is told nothing of, whoever reads it",
  "ENT-061":
    "Nothing of a process's file is read until an entry asks for it, and whoever is open then is read anew",
  "ENT-062": "Processes of one user are read so often, however many connect, and others' in the meantime",
  "ENT-101":
    "What is said of a process's user, groups, file and control group is the kernel's word, and of it alone",
  "ENT-102":
    "The path and the hash are of the file that runs, whatever lies there by now and whoever mounted it",
  "ENT-103": "No name of a file, a process or a group makes a selector that another process would have",
  "ENT-104": "A process that has ended, or become another user, lends nobody what was read of it",
  "ENT-105":
    "An attestor that fails adds nothing and is told of; what the others found is told once each, within bounds",
  "ENT-106": "A unit is the system's own, never one that a user or a container called so",
  "ENT-107":
    "A container is known by where the kubelet put it, as each runtime spells that, and by no group of its own making",
  "ENT-108": "The kubelet is asked as it documents, verified, within bounds, once for all who ask",
  "ENT-040": "A workload in a pod gets what the entries of its pod say, from a server and from a node",
  "ENT-041": "A container that the kubelet does not tell of yet is waited for, some seconds long",
  "ENT-042": "What keeps pods from being told apart on a machine is told, and never taken for no pod",
  "CHK-001":
    "An agent's checksum is of its model, prompt and tools alone, spelled in one way; anything else has none",
  "CHK-002":
    "What an agent declares of itself is recorded as declared, by its checksum alone, and opens and closes nothing",
  "CHK-003":
    "An agent with approved configurations gets SVIDs only where one that is approved at the commit was measured",
  "CHK-004":
    "A configuration is measured from what the workload can't have written, and reached by no link, mount or namespace of its own",
  "CHK-005": "Workloads of one entry whose configurations differ never share an SVID",
  "CHK-006":
    "Who runs another configuration loses its streams, and gets SVIDs at once when its own is approved",
  "CHK-008":
    "A workload whose configuration was measured is measured anew before an open stream gets it anything more",
  "CHK-007": "Operators alone approve and withdraw, each once and for the owner, as the record says",
  "NOD-001":
    "A machine joins once and keeps its identity to itself; its workloads get SVIDs for keys that never leave it",
  "NOD-002": "A node gets SVIDs for its own entries alone, and sees no others",
  "NOD-003":
    "A node is known by its X.509-SVID alone; nobody else's is one, and a node is nobody at the token endpoint",
  "NOD-004": "A join token is good once, until it ends, and is kept and recorded by what it is not",
  "NOD-005": "What is stopped is served by no node from that moment on, and what goes on again is",
  "NOD-006": "A node serves what it holds while its server is away, and goes on with it unnoticed",
  "NOD-007": "A node that is killed and started again is the same node",
  "NOD-011":
    "A node goes on with another SVID when the authority of its own is tainted, and with what was tainted gets nothing else",
  "NOD-040":
    "A node tells of itself on loopback: ready while it can give out SVIDs, and what it serves from while its server is away",
  "NOD-041":
    "A node has the configuration of its workloads measured: which one is approved is asked by the commit, as on the server",
  "NOD-042": "A node renews in time, tries again, and ends where its server says so and nowhere else",
  "NOD-008": "An evicted node gets nothing more, serves nothing more, and is no entry's parent",
  "NOD-009":
    "A certificate makes a node only with its key over a fresh nonce of ours and the key to be certified",
  "NOD-080":
    "A certificate makes a node only by a path of RFC 5280, and if it is for signatures of a TLS client",
  "NOD-081": "No chain is taken whose keys or signatures somebody could forge",
  "NOD-090":
    "Who has no nonce of ours costs no signature's check, nobody costs one by a key that nothing trusted vouches for, and none costs more than usual keys do",
  "NOD-091":
    "What a node says that can't be asked or signed is refused as its request, before anything is done",
  "NOD-092":
    "Who has ever new JWT-SVIDs signed on a node takes none from other users and containers, and nobody's X.509-SVIDs",
  "NOD-100":
    "A request that a node began by an SVID which is spent before it is answered gets no SVID, whoever is the node by then",
  "NOD-101":
    "A machine whose SVID is of an authority that was withdrawn is the same node again by fresh evidence",
  "NOD-102":
    "What an authority signed that was tainted is given out by no node that hears of it, or was away meanwhile",
  "NOD-082":
    "Which certificate a client has is told by no process of the server's own machine, unless that is allowed",
  "NOD-010": "The same evidence makes one node at a time",
  "NOD-060": "A pod's projected token makes the machine that it runs on a node, known by cluster and uid",
  "NOD-061":
    "A projected token counts only as the cluster signed it, for us alone, fresh, once, for a service account that was named",
  "NOD-062": "Clusters that share an issuer's name are told apart by the key that signed",
  "NOD-063":
    "A cluster's keys are fetched within bounds, verified, from the hosts that the operator named alone, and seldom",
  "NOD-064": "A file of clusters that says anything else than which clusters there are starts no server",
  "NOD-020":
    "From the first use of a node's next SVID on, the one before it is refused, and the operator hears that somebody showed it",
  "NOD-021": "A node that ended before it kept its next SVID comes back by the one before",
  "NOD-022":
    "A node that was cut off until its SVID ended is the same node again, by fresh evidence or an operator's token",
  "NOD-024":
    "A node asks for each entry once a request, and so often as a machine needs: beyond that it waits, and the ledger is not filled",
  "NOD-023":
    "A machine that was evicted stays out until an operator lets it in again, and then needs fresh evidence",
  "INS-001":
    "First start makes one installation, however many processes start at once and wherever one is killed",
} as const;
