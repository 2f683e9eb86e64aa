/** `npm run check`: format, lint, types, generated files, layers, dead code, unit and component tests. */
import { runSteps, testCommand, type Step } from "./steps.ts";

/** The steps of the check, the quick ones first. */
export const checkSteps: readonly Step[] = [
  { name: "Format", command: ["oxfmt", "--check"], fix: "npx oxfmt" },
  { name: "Lint", command: ["oxlint"], fix: "npx oxlint --fix, then by hand" },
  {
    name: "Lock file",
    command: ["npm", "ci", "--dry-run", "--offline", "--ignore-scripts", "--loglevel=error"],
    fix: "npm install --package-lock-only --ignore-scripts, and commit package-lock.json with the package.json that it follows",
  },
  { name: "Types", command: ["tsc", "-p", "."], fix: "mend what tsc names" },
  { name: "Generated types", command: [process.execPath, "tools/generate-types.ts", "--check"], fix: "node tools/generate-types.ts" },
  { name: "Generated documents", command: [process.execPath, "tools/generate-docs.ts", "--check"], fix: "node tools/generate-docs.ts" },
  {
    name: "Layers",
    command: [process.execPath, "tools/layers.ts"],
    fix: "move the code, or the table in tools/layers.ts with a decision record",
  },
  { name: "Dead code", command: ["knip"], fix: "delete what knip names" },
  {
    name: "Unit and component tests",
    command: testCommand(["{api,kit,client,engine,cli,companions,tools}/**/*.test.ts"], 2),
    fix: "node --test FILE runs one file alone",
  },
];

if (import.meta.main) process.exitCode = (await runSteps(checkSteps)) ? 0 : 1;
