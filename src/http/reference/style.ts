/** How the reference looks, in light and in dark, on a screen and on paper. */
export const referenceStyle = `
:root { color-scheme: light dark; --text: #1c2024; --soft: #5c656f; --line: #e1e5ea; --page: #fff; --side: #f7f8fa;
  --link: #0a58b8; --code: #f1f3f6; --get: #0b6e4f; --post: #0a58b8; --put: #8a5300; --patch: #8a5300; --delete: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e7eb; --soft: #9aa4af; --line: #2c333b; --page: #14181d;
  --side: #191e24; --link: #7db4ff; --code: #222931; --get: #5fd0a5; --post: #7db4ff; --put: #f0b35b; --patch: #f0b35b;
  --delete: #ff8a80; } }
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0; color: var(--text); background: var(--page); font: 15px/1.55 system-ui, sans-serif; display: grid;
  grid-template-columns: 17rem minmax(0, 1fr); }
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
code { font: 0.9em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; background: var(--code); padding: 0.1em 0.3em;
  border-radius: 4px; overflow-wrap: anywhere; }
nav { position: sticky; top: 0; height: 100vh; overflow-y: auto; padding: 1.5rem 1rem 3rem; background: var(--side);
  border-right: 1px solid var(--line); font-size: 0.9rem; }
nav .title { font-weight: 650; font-size: 1.05rem; color: var(--text); }
nav h2 { margin: 1.4rem 0 0.3rem; font-size: 0.75rem; letter-spacing: 0.06em; text-transform: uppercase; color: var(--soft); }
nav ul { list-style: none; margin: 0; padding: 0; }
nav li a { display: block; padding: 0.16rem 0; color: var(--text); overflow-wrap: anywhere; }
nav .method { width: 3.3rem; font-size: 0.68rem; }
main { max-width: 62rem; padding: 2rem 3rem 6rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 0.6rem; }
h1 small { font-size: 1rem; font-weight: 400; color: var(--soft); }
main > h2 { margin: 3.5rem 0 0; font-size: 1.45rem; text-transform: capitalize; }
section { margin-top: 1.4rem; padding: 1.2rem 1.4rem; border: 1px solid var(--line); border-radius: 10px; }
section:target { border-color: var(--link); }
h3 { margin: 0 0 0.3rem; font-size: 1.12rem; }
h3 a { color: inherit; }
h4 { margin: 1.2rem 0 0.3rem; font-size: 0.75rem; letter-spacing: 0.06em; text-transform: uppercase; color: var(--soft); }
p { margin: 0.4rem 0; }
.method { display: inline-block; font: 700 0.78rem ui-monospace, monospace; text-transform: uppercase; margin-right: 0.6rem; }
.get { color: var(--get); } .post { color: var(--post); } .put { color: var(--put); } .patch { color: var(--patch); }
.delete { color: var(--delete); }
.address code { font-size: 1rem; }
.scopes, .type { color: var(--soft); }
table { width: 100%; border-collapse: collapse; font-size: 0.92em; }
th, td { text-align: left; vertical-align: top; padding: 0.4rem 0.6rem 0.4rem 0; border-top: 1px solid var(--line); }
tr:first-child > th, tr:first-child > td { border-top: 0; }
th { width: 13rem; font-weight: 400; }
th b { color: var(--delete); margin-left: 0.2rem; }
td > p:first-child { margin-top: 0; }
td table { margin-top: 0.3rem; border-left: 2px solid var(--line); }
td table th, td table td { padding-left: 0.7rem; }
td td th { width: 10rem; }
.pattern { font-size: 0.78em; }
details { margin-top: 1rem; }
summary { cursor: pointer; color: var(--soft); }
@media (max-width: 60rem) { body { display: block; } nav { position: static; height: auto; border: 0; }
  main { padding: 1.5rem 1rem 4rem; } section { padding: 1rem; } th { width: 9rem; } }
@media print { nav { display: none; } body { display: block; } section { break-inside: avoid-page; border: 0; padding: 0; } }
`;
