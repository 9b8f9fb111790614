declare const brand: unique symbol;

/** A `Base` that only the parse function of its kind can make; it costs nothing at run time. */
export type Brand<Base, Name extends string> = Base & { readonly [brand]: Name };
