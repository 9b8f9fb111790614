import { fromBase64, toBase64 } from "@countersign/sdk/tlog/base64";
import { formatCheckpoint, openCheckpoint, parseCheckpoint } from "@countersign/sdk/tlog/checkpoint";
import { cosignedMessage, formatNote, parseNote, verifyNote } from "@countersign/sdk/tlog/note";
import {
  formatVerifierKey,
  parseVerifierKey,
  signatureTypes,
  type VerifierKey,
} from "@countersign/sdk/tlog/vkey";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { newNoteKey } from "./note-key.ts";
import { sigstoreOpensCheckpoint } from "./sigstore-oracle.ts";

// From the examples of golang.org/x/mod/sumdb/note.
const neumann = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const neumannText =
  "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const neumannSignature =
  "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const enochSignature =
  "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";
// The Go checksum database, whose tree heads are checkpoints; C2SP tlog-checkpoint shows this one under another name.
const sumdb = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
const sumdbNote =
  "go.sum database tree\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n" +
  "— sum.golang.org Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";

function key(text: string): VerifierKey {
  const parsed = parseVerifierKey(text);
  if (parsed === undefined) throw new Error(`not a verifier key: ${text}`);
  return parsed;
}

async function namesThatSigned(message: string, ...keys: string[]): Promise<string[] | undefined> {
  const note = parseNote(message);
  return note && (await verifyNote(note, keys.map(key)))?.map((signature) => signature.key.name);
}

describe("verifier keys", () => {
  test("of Go's notes are read and written back", () => {
    for (const text of [neumann, sumdb]) expect(formatVerifierKey(key(text))).toBe(text);
    expect(key(neumann)).toMatchObject({
      name: "PeterNeumann",
      id: 0xc74f20a3,
      type: signatureTypes.ed25519,
    });
  });

  test.each([
    "",
    "PeterNeumann",
    neumann.replace("c74f20a3", "c74f20a4"),
    neumann.replace("c74f20a3", "C74F20A3"),
    neumann.replace("PeterNeumann", "Peter Neumann"),
    neumann.replace("PeterNeumann", ""),
    neumann.replace("+ARpc", "+AhRp"),
    neumann.slice(0, -1),
    `${neumann}\n`,
    `${neumann}=`,
  ])("that are not right are none: %j", (text) => {
    expect(parseVerifierKey(text)).toBeUndefined();
  });
});

describe("base64", () => {
  test("has one spelling for any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        expect(toBase64(bytes)).toBe(Buffer.from(bytes).toString("base64"));
        expect(fromBase64(toBase64(bytes))).toEqual(bytes);
      }),
    );
    expect(toBase64(new Uint8Array(20_000).fill(251))).toBe(Buffer.alloc(20_000, 251).toString("base64"));
  });

  test.each(["QQ", "QQ=", "QR==", "QUJ=", "QQ==\n", " QQ==", "QQ==QQ==", "Q-==", "====", "A"])(
    "%j is none",
    (text) => {
      expect(fromBase64(text)).toBeUndefined();
    },
  );
});

describe("signed notes", () => {
  test("of Go's package verify by their keys and by no other", async () => {
    expect(await namesThatSigned(`${neumannText}\n${neumannSignature}`, neumann)).toEqual(["PeterNeumann"]);
    expect(await namesThatSigned(`${neumannText}\n${neumannSignature}`, sumdb)).toEqual([]);
    expect(await namesThatSigned(sumdbNote, sumdb, neumann)).toEqual(["sum.golang.org"]);
  });

  test("may bear signatures of keys that nobody here knows", async () => {
    const message = `${neumannText}\n${enochSignature}${neumannSignature}`;
    expect(await namesThatSigned(message, neumann)).toEqual(["PeterNeumann"]);
  });

  test("are spoilt by one wrong signature of a known key", async () => {
    const other = newNoteKey("other.example");
    const note = formatNote({ text: "other text\n", signatures: [other.signature("another text\n")] });
    expect(await namesThatSigned(note, other.vkey)).toBeUndefined();
    const both = `${neumannText}\n${neumannSignature}${note.split("\n\n")[1]}`;
    expect(await namesThatSigned(both, neumann, other.vkey)).toBeUndefined();
  });

  test("are read and written back", () => {
    const message = `a\n\nb\n\n${neumannSignature}${enochSignature}`;
    const note = parseNote(message);
    expect(note?.text).toBe("a\n\nb\n");
    expect(note && formatNote(note)).toBe(message);
  });

  test.each([
    "",
    neumannText,
    `${neumannText}\n`,
    `${neumannText}${neumannSignature}`,
    `${neumannText}\n${neumannSignature}`.slice(0, -1),
    `${neumannText}\n${neumannSignature}\n`,
    `${neumannText}\n${neumannSignature.replace("— ", "- ")}`,
    `${neumannText}\n${neumannSignature.replace("PeterNeumann", "Peter+Neumann")}`,
    `${neumannText}\n${neumannSignature.replace("PeterNeumann", "Peter\u00a0Neumann")}`,
    `${neumannText}\n${neumannSignature.replace("PeterNeumann ", "PeterNeumann  ")}`,
    `${neumannText}\n— PeterNeumann x08gow==\n`,
    `a\tb\n\n${neumannSignature}`,
    `a\r\n\n${neumannSignature}`,
    `\ud800\n\n${neumannSignature}`,
    `a\n\n${neumannSignature.repeat(101)}`,
  ])("that are malformed are none: %j", (message) => {
    expect(parseNote(message)).toBeUndefined();
  });
});

describe("checkpoints", () => {
  const root = toBase64(new Uint8Array(32).fill(7));

  test("are read and written back", () => {
    const text = `example.com/log\n0\n${root}\nan extension\n`;
    const checkpoint = parseCheckpoint(text);
    expect(checkpoint).toMatchObject({ origin: "example.com/log", size: 0, extensions: ["an extension"] });
    expect(checkpoint && formatCheckpoint(checkpoint)).toBe(text);
  });

  test.each([
    `\n1\n${root}\n`,
    `o\n01\n${root}\n`,
    `o\n-1\n${root}\n`,
    `o\n+1\n${root}\n`,
    `o\n1 \n${root}\n`,
    `o\n1e3\n${root}\n`,
    `o\n9007199254740993\n${root}\n`,
    `o\n\n${root}\n`,
    `o\n1\n${root.slice(0, -1)}\n`,
    `o\n1\n${root} \n`,
    `o\n1\n${toBase64(new Uint8Array(31))}\n`,
    `o\n1\n${root}`,
    `o\n1\n${root}\n\n`,
    "o\n1\n",
  ])("that are not exact are none: %j", (text) => {
    expect(parseCheckpoint(text)).toBeUndefined();
  });

  test("are opened by a key of their own log only", async () => {
    const log = newNoteKey("log.example/log/a");
    const other = newNoteKey("log.example/log/b");
    const text = formatCheckpoint({ origin: log.name, size: 3, root: new Uint8Array(32), extensions: [] });
    const note = formatNote({ text, signatures: [log.signature(text), other.signature(text)] });
    const opened = await openCheckpoint(note, { logKeys: [key(other.vkey), key(log.vkey)] });
    expect(opened).toMatchObject({
      ok: true,
      checkpoint: { size: 3 },
      signedBy: [{ name: log.name }],
      witnesses: [],
    });
    // The other log's key is trusted, but not to speak for this log.
    expect(await openCheckpoint(note, { logKeys: [key(other.vkey)] })).toMatchObject({ ok: false });
    expect((await openCheckpoint(note.replace("\n3\n", "\n4\n"), { logKeys: [key(log.vkey)] })).ok).toBe(
      false,
    );
  });

  test("signed by the old and the new key of a log are opened by either", async () => {
    const before = newNoteKey("log.example/log/a");
    const after = newNoteKey("log.example/log/a");
    const text = formatCheckpoint({ origin: before.name, size: 3, root: new Uint8Array(32), extensions: [] });
    const note = formatNote({ text, signatures: [after.signature(text), before.signature(text)] });
    for (const known of [[before], [after], [before, after]]) {
      const opened = await openCheckpoint(note, { logKeys: known.map(({ vkey }) => key(vkey)) });
      expect(opened.ok && opened.signedBy.length).toBe(known.length);
    }
  });

  test("tell which witnesses saw them and when", async () => {
    const log = newNoteKey("log.example/log/a");
    const witness = newNoteKey("witness.example/w1", signatureTypes.cosignatureV1);
    const text = formatCheckpoint({ origin: log.name, size: 3, root: new Uint8Array(32), extensions: [] });
    const cosigned = witness.signature(cosignedMessage(text, 1_679_315_147), 1_679_315_147);
    const trust = { logKeys: [key(log.vkey)], witnessKeys: [key(witness.vkey)] };
    const note = formatNote({ text, signatures: [log.signature(text), cosigned] });
    const opened = await openCheckpoint(note, trust);
    expect(opened.ok && opened.witnesses).toMatchObject([
      { key: { name: "witness.example/w1" }, timeSeconds: 1_679_315_147 },
    ]);
    const later = {
      ...cosigned,
      signature: cosigned.signature.map((byte, i) => (i === 7 ? byte ^ 1 : byte)),
    };
    expect(
      (await openCheckpoint(formatNote({ text, signatures: [log.signature(text), later] }), trust)).ok,
    ).toBe(false);
    // A witness is not the log: alone it opens nothing.
    expect((await openCheckpoint(formatNote({ text, signatures: [cosigned] }), trust)).ok).toBe(false);
  });

  test("cosigned as the specification writes it out", () => {
    const example =
      "cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    expect(cosignedMessage(example.slice(example.indexOf("example.com")), 1_679_315_147)).toBe(example);
  });

  test("that we sign are opened by sigstore", () => {
    const log = newNoteKey("log.example/log/a");
    const text = formatCheckpoint({
      origin: log.name,
      size: 12,
      root: new Uint8Array(32).fill(9),
      extensions: [],
    });
    const note = formatNote({ text, signatures: [log.signature(text)] });
    const opened = sigstoreOpensCheckpoint(note, {
      origin: log.name,
      keyId: log.keyId,
      publicKey: log.publicKey,
    });
    expect(opened).toMatchObject({ origin: log.name, logSize: 12n, logHash: Buffer.alloc(32, 9) });
  });
});
