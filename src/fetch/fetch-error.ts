/** Something could not be fetched, or may not be. The message is one line that says why, and quotes nothing of the answer. */
export class FetchError extends Error {
  override readonly name = "FetchError";
}
