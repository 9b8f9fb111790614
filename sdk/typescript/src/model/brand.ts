/** A `Base` that only the parse function of its kind can make; the mark exists for the compiler only. */
export type Brand<Base, Name extends string> = Base & { readonly "~brand": Name };
