/** The ambassador. usage: node main.ts [run] [--config FILE] | check FILE | wait [FLAG...] | --help */
import { runProgram } from "../frame/program/program.ts";
import { ambassador } from "./companion.ts";

await runProgram(ambassador);
