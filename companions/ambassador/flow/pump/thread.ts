/** The pump's thread; pump.ts starts it. */
import { workerData } from "node:worker_threads";
import { Counts } from "./counts.ts";
import { PumpLoop } from "./loop.ts";
import type { PumpData } from "./messages.ts";

const { port, memory } = workerData as PumpData; // pump.ts gives it
new PumpLoop(port, new Counts(memory)).run();
port.close();
