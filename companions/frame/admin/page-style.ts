/** The page's look, in the reader's own light or dark; every colour pair has a contrast of 4.5 or more. */
export const style = `
:root {
  color-scheme: light dark;
  --text: light-dark(#1b2230, #e4e8ef);
  --quiet: light-dark(#566072, #9aa6b8);
  --page: light-dark(#f5f6f9, #12161e);
  --card: light-dark(#ffffff, #1a202b);
  --line: light-dark(#dfe3ea, #2c3543);
  --link: light-dark(#0b57c2, #8ab8ff);
  --good: light-dark(#0f6b3a, #7fdca6);
  --good-back: light-dark(#e0f4e8, #143526);
  --bad: light-dark(#9b1c1c, #ffb0a8);
  --bad-back: light-dark(#fde8e6, #42191a);
  --plain-back: light-dark(#eaedf2, #283040);
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem 1rem 3rem; font: 1rem/1.5 system-ui, sans-serif; color: var(--text); background: var(--page); }
header { display: flex; flex-wrap: wrap; align-items: center; gap: .5rem 1rem; margin-bottom: 1.25rem; }
h1 { font-size: 1.5rem; margin: 0; }
h2 { font-size: 1.1rem; margin: 0 0 .25rem; display: flex; flex-wrap: wrap; align-items: center; gap: .6rem; }
p { margin: 0 0 .5rem; }
header p { margin: 0; }
nav { margin-left: auto; display: flex; flex-wrap: wrap; gap: 1rem; }
a { color: var(--link); }
a:focus-visible, .scroll:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: 1rem 1.25rem; margin-bottom: 1rem; }
code, pre { font: .875em/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; margin: .25rem 0 0; }
.quiet { color: var(--quiet); }
.badge { font-size: .8rem; font-weight: 600; line-height: 1.4; padding: .1rem .55rem; border-radius: 1rem; white-space: nowrap; background: var(--plain-back); }
.good { color: var(--good); background: var(--good-back); }
.bad { color: var(--bad); background: var(--bad-back); }
.alarm { color: var(--bad); background: var(--bad-back); border-left: 4px solid var(--bad); padding: .5rem .75rem; margin: .5rem 0; border-radius: .25rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0; border-top: 1px solid var(--line); }
thead th { border-top: 0; color: var(--quiet); font-weight: 500; white-space: nowrap; }
tbody th { font-weight: 400; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td code, th code { white-space: nowrap; }
`;
