/** Something could not be fetched, or may not be. The message is one line that says why, and quotes nothing of the answer. */
export class FetchError extends Error {
  override readonly name: string = "FetchError";
}

/** It is where only an operator could have it asked. */
export class PrivateAddressError extends FetchError {
  override readonly name = "PrivateAddressError";

  constructor() {
    super("its host is at an address that is not public, which was not allowed for it");
  }
}
