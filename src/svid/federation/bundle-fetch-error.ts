/** A foreign bundle could not be fetched, or can't be taken. The message is one line that says why. */
export class BundleFetchError extends Error {
  override readonly name = "BundleFetchError";
}
