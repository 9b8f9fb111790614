/** The one base64 spelling of these bytes: standard alphabet, padded. @see RFC 4648, section 4 */
export function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let start = 0; start < bytes.length; start += 8192) {
    binary += String.fromCharCode(...bytes.subarray(start, start + 8192));
  }
  return btoa(binary);
}

/**
 * The bytes that `text` spells, or undefined when it is not their one base64 spelling: no missing padding, no white
 * space, no bits left over, so that two different texts never stand for the same bytes.
 *
 * @see RFC 4648, sections 3.5 and 4
 */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  const binary = atob(text);
  if (text !== "" && btoa(binary.slice(-(binary.length % 3 || 3))) !== text.slice(-4)) return undefined;
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
