import { runtimeConformance } from "../runtime.conformance.ts";
import { withOciRuntime } from "./oci-test-bed.ts";

runtimeConformance("OciRuntime", withOciRuntime);
