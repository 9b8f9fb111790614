"""Paths, globs, audiences and addresses in their only spelling. Written from docs/decisions/0005-narrowing.md."""

import ipaddress
import re
import unicodedata

AUDIENCE_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()+,;=]+")
URN = re.compile(r"urn:[a-z0-9][a-z0-9-]{0,30}:[A-Za-z0-9._:/-]+")
HTTP_URL = re.compile(r"(https?)://([^/?]+)(/[^?]*)?(\?.*)?", re.ASCII)
HEXTET = re.compile(r"[0-9A-Fa-f]{1,4}")


def utf16_length(text):
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def is_well_formed(text):
    return not any("\ud800" <= character <= "\udfff" for character in text)


def is_audience(text):
    """RFC 8707 resource URIs that have one spelling."""
    if utf16_length(text) > 512 or not AUDIENCE_CHARACTERS.fullmatch(text):
        return False
    if URN.fullmatch(text):
        return True
    match = HTTP_URL.fullmatch(text)
    if match is None or text.endswith("?"):
        return False
    scheme, authority, path, query = match.groups()
    if path is None and query is not None:
        return False
    if query is not None and "'" in query:
        return False
    segments = (path or "/").split("/")
    plain_path = "//" not in (path or "") and not any(segment in (".", "..") for segment in segments)
    return plain_path and is_authority(scheme, authority)


def is_authority(scheme, authority):
    host, port = authority, None
    match = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*):(\d+)", authority)
    if match:
        host, port = match.groups()
    if port is not None:
        default = "443" if scheme == "https" else "80"
        if port == default or (port != "0" and port.startswith("0")) or int(port) > 65535:
            return False
    if host.startswith("["):
        return is_ipv6_literal(host)
    if not re.fullmatch(r"[a-z0-9\-._~!$&'()+,;=]+", host) or host.endswith("."):
        return False
    last = host.split(".")[-1]
    if re.fullmatch(r"\d+|0[xX][0-9A-Fa-f]*", last):
        return ipv4_octets(host) is not None
    return True


def is_ipv6_literal(host):
    try:
        return host.endswith("]") and ipaddress.IPv6Address(host[1:-1]).compressed == host[1:-1]
    except ValueError:
        return False


def same_audience(one, other):
    return without_root_slash(one) == without_root_slash(other)


def without_root_slash(uri):
    return uri[:-1] if uri.endswith("/") and re.fullmatch(r"https?://[^/?]+", uri[:-1]) else uri


def decays(character):
    plain = unicodedata.normalize("NFKC", character)
    return plain != character and any(sign in plain for sign in "./\\%*")


def is_plain_text(text):
    if not is_well_formed(text) or unicodedata.normalize("NFC", text) != text:
        return False
    for character in text:
        if character in "\\%" or unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp") or decays(character):
            return False
    return True


def cut(text):
    """(root, segments), or None."""
    if text == "" or utf16_length(text) > 1024 or not is_plain_text(text):
        return None
    url = re.fullmatch(r"(https?://[^/?#*]+)(?:/(.*))?", text)
    if url:
        root, rest = url.group(1), url.group(2) or ""
    elif text.startswith("/"):
        root, rest = "/", text[1:]
    else:
        root, rest = "", text
    segments = rest.split("/") if rest else []
    if root == "" and segments and (segments[0].startswith("~") or ":" in segments[0]):
        return None
    if len(segments) > 64 or any(segment == "" or segment[-1] in ". " for segment in segments):
        return None
    return root, segments


def parse_path(text):
    if "*" in text:
        return None
    path = cut(text)
    if path is None or (path[0].startswith("http") and not is_audience(text)):
        return None
    return path


def parse_glob(text):
    glob = cut(text)
    if glob is None or (glob[0].startswith("http") and not is_audience(glob[0])):
        return None
    for place, segment in enumerate(glob[1]):
        if segment == "*" or (segment == "**" and place == len(glob[1]) - 1):
            continue
        if any(sign in segment for sign in "*?[]{}"):
            return None
    return glob


def lies_under(path, prefix):
    return path[0] == prefix[0] and path[1][: len(prefix[1])] == prefix[1]


def glob_lets_through(glob, path):
    """Whether a glob matches a path, or all that another glob (its stars in `path`) matches; walked segment by segment."""
    if glob[0] != path[0]:
        return False
    left = list(path[1])
    for place, wanted in enumerate(glob[1]):
        if wanted == "**" and place == len(glob[1]) - 1:
            return len(left) > 0
        if not left:
            return False
        given = left.pop(0)
        if given == "**" or (wanted != "*" and given != wanted):
            return False
    return not left


def ipv4_octets(text):
    octets = text.split(".")
    if len(octets) != 4 or not all(re.fullmatch(r"0|[1-9][0-9]{0,2}", octet) and int(octet) < 256 for octet in octets):
        return None
    return [int(octet) for octet in octets]


def parse_address(text):
    try:
        if ":" not in text:
            return ipaddress.IPv4Address(text) if ipv4_octets(text) else None
        if "." in text or "%" in text or not text.isascii():
            return None
        address = ipaddress.IPv6Address(text)
        return None if address.ipv4_mapped is not None else address
    except ValueError:
        return None


def parse_network(text):
    address, slash, prefix = text.partition("/")
    if slash == "" or not re.fullmatch(r"0|[1-9][0-9]{0,2}", prefix) or parse_address(address) is None:
        return None
    try:
        return ipaddress.ip_network(text, strict=True)
    except ValueError:
        return None
