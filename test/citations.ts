/** The ids of requirements that the tests of a file cite, `[DEL-001]`, in the order in which they stand there. */
export function citationsIn(text: string): readonly string[] {
  return [...text.matchAll(/\[([A-Z]{3}-\d{3})\]/g)].flatMap(([, id]) => (id ? [id] : []));
}
