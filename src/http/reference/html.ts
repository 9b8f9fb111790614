/** Text that is HTML already, everything foreign in it escaped. */
export interface Html {
  readonly html: string;
}

type Piece = Html | string | number | undefined | readonly Html[];

/** Puts pieces together: HTML as it is, whatever else escaped. */
export function html(texts: TemplateStringsArray, ...pieces: readonly Piece[]): Html {
  return { html: texts.reduce((done, text, at) => `${done}${textOf(pieces[at - 1])}${text}`) };
}

/** Pieces one after another, with `between` between them. */
export function joined(pieces: readonly Html[], between: string): Html {
  return { html: pieces.map((piece) => piece.html).join(escaped(between)) };
}

/** Text in which what is set in backticks is code. */
export function prose(text: string): Html {
  const pieces = text
    .split("`")
    .map((piece, at) => (at % 2 === 1 ? html`<code>${piece}</code>` : html`${piece}`));
  return joined(pieces, "");
}

/** What stands beside each name. */
export function tableOf(rows: readonly (readonly [name: string, Html])[]): Html {
  return html`<table><tbody>${rows.map(
    ([name, said]) => html`<tr><th scope="row"><code>${name}</code></th><td>${said}</td></tr>`,
  )}</tbody></table>`;
}

function textOf(piece: Piece): string {
  if (piece === undefined) return "";
  if (typeof piece === "string" || typeof piece === "number") return escaped(String(piece));
  return "html" in piece ? piece.html : piece.map((one) => one.html).join("");
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
